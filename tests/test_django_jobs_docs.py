"""The page about jobs: its code runs, and its migration moves a project."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django_jobs import JobTests

from holdover.contrib_django.jobs import options

PAGE = (Path(__file__).parent.parent / "docs" / "django_jobs.rst").read_text()
OLD = """
from cacheback.base import Job
from cacheback.decorators import cacheback
from cacheback.jobs import FunctionJob, QuerySetFilterJob, QuerySetGetJob


class Tweets(Job):
    lifetime = 60 * 20

    def fetch(self, username):
        return [username]


class Doubled(FunctionJob):
    def process_result(self, result, call, cache_status, sync_fetch=None):
        return result * 2


@cacheback(60 * 10, job_class=Doubled)
def total(number):
    return number
"""


def block(language):
    """Give the page's block in a language."""
    [found] = re.findall(rf"\.\. code-block:: {language}\n\n((?:    +.*\n|\n)+)", PAGE)
    lines = found.splitlines()
    return "\n".join(
        line.strip() if language == "shell" else line[4:] for line in lines
    )


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """A folder from which ``shop.jobs`` is imported."""
    (tmp_path / "shop").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("shop", "shop.jobs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "shop" / "__init__.py").touch()
    yield tmp_path / "shop" / "jobs.py"
    for name in ("shop", "shop.jobs"):
        sys.modules.pop(name, None)


class TestPage(JobTests):
    @pytest.fixture
    def kind(self):
        return "memory"

    def test_the_code_runs(self, importable):
        """As it stands there."""
        importable.write_text(block("python"))
        from shop import jobs

        assert jobs.Prices().get(5) == []
        assert jobs.Prices().refresh(5) == jobs.Prices().get(5) == [5, "EUR"]
        assert jobs.sales(2026) == jobs.sales.fn(2026) == {"year": 2026}

    def test_the_migration(self, importable):
        """One command, and the project's own code does what it did."""
        importable.write_text(OLD)
        subprocess.run(
            block("shell").strip(), shell=True, check=True, cwd=importable.parent.parent
        )
        assert "from cacheback" not in importable.read_text()
        from shop import jobs

        assert jobs.Tweets().get("me") == ["me"]
        assert jobs.total(4) == 8
        assert jobs.total.job.raw_get(jobs.total.fn, 4)[1] == 4
        assert jobs.QuerySetGetJob.__mro__[1] is jobs.QuerySetFilterJob.__mro__[1]

    def test_the_settings_are_those_that_there_are(self):
        """Each has a row, and each row a setting."""
        rows = re.findall(r"^``(CACHEBACK_\w+)``", PAGE, re.MULTILINE)
        named = re.findall(r'"(CACHEBACK_\w+)"', Path(options.__file__).read_text())
        assert sorted(rows) == sorted(set(named))
        assert all(f'"{one}"' in PAGE for one in options.QUEUES)
