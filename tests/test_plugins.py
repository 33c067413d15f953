"""Backends by others: Holdover's by entry point, dogpile.cache's by name or object."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dogpile.cache import register_backend
from dogpile.cache.api import NO_VALUE as THEIR_NO_VALUE
from dogpile.cache.api import CacheBackend

from holdover import NO_VALUE, make_region
from holdover.errors import ConfigurationError, MissingDependency
from holdover.events import TierDropped

pytestmark = pytest.mark.xdist_group("plugin")  # one installation for all

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "tests" / "plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder into which the plug-in is installed, as its users do."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(PLUGIN, source)  # building leaves files there
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--no-index", "--no-build-isolation", "--target", folder, source]
    subprocess.run(command, check=True, timeout=100)
    return folder


def run(site, *command, cwd):
    """Run Python where the plug-in is installed; give what it printed."""
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def example(number):
    """Give a piece of Python of the page about plug-ins."""
    text = (ROOT / "docs" / "plugins.rst").read_text()
    found = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    return re.sub(r"^    ", "", found[number], flags=re.MULTILINE)


def test_a_plugin_is_found_by_its_name(site, tmp_path):
    """The page's first example runs where the distribution is installed."""
    code = example(0).replace("/var/cache/shelf", str(tmp_path / "shelf"))
    run(site, "-c", code, cwd=tmp_path)


def test_a_plugin_is_unknown_where_it_is_not_installed():
    """The error lists what there is."""
    with pytest.raises(ConfigurationError, match=r"no backend 'shelf'.*holdover\.file"):
        make_region().configure("shelf")


def test_a_plugin_s_arguments_are_checked(site, tmp_path):
    """Its errors are those of any other backend."""
    code = (
        "from holdover import make_region\n"
        "try:\n    make_region().configure('shelf', 9, {'paht': 'x'})\n"
        "except ValueError as error:\n    print(error)"
    )
    assert "Did you mean 'path'?" in run(site, "-c", code, cwd=tmp_path)


@pytest.mark.parametrize("source", ["plugin", "page"])
def test_a_plugin_keeps_the_contract(site, tmp_path, source):
    """An author's own test, as a file of his and as the page has it, passes."""
    test = tmp_path / "test_shelf.py"
    own = (PLUGIN / "contract_of_shelf.py").read_text()
    test.write_text(own if source == "plugin" else example(1))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = ["-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    told = run(site, *command, test.name, cwd=tmp_path)
    passed = re.search(r"(\d+) passed in", told)
    assert passed, told
    assert int(passed[1]) > 60


# -- dogpile.cache's -----------------------------------------------------------


class PocketBackend(CacheBackend):
    """A small foreign backend that knows nothing of Holdover."""

    def __init__(self, arguments):
        self.pocket = arguments.get("pocket", {})

    def get(self, key):
        """Give what is there."""
        return self.pocket.get(key, THEIR_NO_VALUE)

    def set(self, key, value):
        """Keep it."""
        self.pocket[key] = value

    def delete(self, key):
        """Drop it."""
        self.pocket.pop(key, None)

    def get_multi(self, keys):
        """Give several."""
        return [self.get(key) for key in keys]

    def set_multi(self, mapping):
        """Keep several."""
        self.pocket.update(mapping)

    def delete_multi(self, keys):
        """Drop several."""
        for key in keys:
            self.delete(key)


@pytest.mark.parametrize("name", ["redis", "bmemcached", "pylibmc"])
def test_a_library_of_dogpile_s_that_is_missing(monkeypatch, name):
    """It is told of as one of Holdover's is, with the backend that needs it."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependency) as caught:
        make_region().configure(f"dogpile.cache.{name}", arguments={"url": "x"})
    assert f"'dogpile.cache.{name}' needs '{name}'" in str(caught.value)


def test_a_library_of_a_plugin_that_is_missing(site, tmp_path):
    """The same, while the plug-in is imported."""
    code = (
        "import sys; sys.modules['sqlite3'] = None\n"
        "from holdover import make_region, errors\n"
        "try: make_region().configure('shelf')\n"
        "except errors.MissingDependency as error: print(error)"
    )
    assert "'shelf' needs 'sqlite3'" in run(site, "-c", code, cwd=tmp_path)


def by_name(pocket):
    """Register a class, and name it."""
    name = f"test.pocket{id(pocket)}"
    register_backend(name, __name__, "PocketBackend")
    return make_region("shop").configure(name, 60, {"pocket": pocket})


def by_instance(pocket):
    """Pass an object."""
    return make_region("shop").configure(PocketBackend({"pocket": pocket}), 60)


@pytest.mark.parametrize("configured", [by_name, by_instance])
def test_a_foreign_dogpile_backend_works(configured, counter):
    """All verbs work on it, one creator runs, and it keeps dogpile.cache's values."""
    pocket = {}
    region = configured(pocket)
    assert [region.get_or_create("k", counter) for _ in range(2)] == [1, 1]
    assert {one.payload for one in pocket.values()} == {1}
    region.set_multi({"a": 1, "b": 2})
    assert region.get_multi(["a", "b", "c"]) == [1, 2, NO_VALUE]
    region.delete("a")
    assert region.get("a") is NO_VALUE
    region.invalidate()
    assert region.get("b") is NO_VALUE
    assert region.get_or_create("k", counter) == 2


def test_it_is_told_that_a_foreign_backend_has_no_leases(heard):
    """The region says on which tier it is."""
    region = make_region("shop")
    events = heard(region)
    region.configure(PocketBackend({}), 60)
    assert [type(one) for one in events] == [TierDropped]


def test_the_plugin_is_not_importable_here():
    """Nothing above has put it into this environment."""
    assert importlib.util.find_spec("holdover_shelf") is None
