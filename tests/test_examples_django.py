"""The Django site of the examples: one command starts it, and its pages work."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import Browser
from serving import ENVIRONMENT, EXAMPLES, WSGIServer, visit
from waiting import wait_until

SITE = EXAMPLES / "django_site"
ARTICLE, OTHER = "article/json/decoder.py", "article/json/encoder.py"
QUERY = "search/?q=json+decode+error"
MADE_AT = re.compile(r"Rendered at ([\d:]+)")

_PATIENCE = 100.0  # seconds; on a machine that others use, too

# They share one site: its articles take a second to make.
pytestmark = pytest.mark.xdist_group("django_site")


class Site:
    """The site, started as its README says.

    Args:
        data: Where it keeps its data.
        **variables: Of its environment.
    """

    def __init__(self, data, **variables):
        self.data = data
        self.variables = {"SITE_DATA": str(data), **variables}

    def __enter__(self):
        self._log = self.data.with_suffix(".log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, SITE / "manage.py", "site", "--port", "0"],
                env={**ENVIRONMENT, **self.variables},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.address = wait_until(self._printed, "the site's address", _PATIENCE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def _printed(self):
        assert self.process.poll() is None, self.said()
        found = re.search(r"http://127\.0\.0\.1:\d+/", self.said())
        return found and found.group()

    def said(self):
        """Give what it has printed."""
        return self._log.read_text()

    def password(self):
        """Give the admin's password."""
        return re.search(r"password (\S+)", self.said())[1]

    def parts(self):
        """Give the pids of its child processes."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(one) for one in children.split()]

    def manage(self, *words, **variables):
        """Run another of its commands."""
        return subprocess.run(
            [sys.executable, SITE / "manage.py", *words],
            env={**ENVIRONMENT, **self.variables, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, whose pages are fresh for a second."""
    data = tmp_path_factory.mktemp("django") / "site"
    with Site(data, SITE_FRESH_FOR="1") as site:
        yield site


@pytest.fixture
def browser(site):
    """A browser, which goes before what it looks at."""
    with Browser() as browser:
        yield browser


def states(browser):
    """Give what the board says, by what is kept."""
    rows = browser.text("#board tbody").splitlines()
    told = (row.split("\t") for row in rows)
    return {name: state for name, _, state, *_ in told}


def look_at(browser, path, name):
    """Make pictures of a page, in all lights, on a screen and on a telephone."""
    for scheme, width in (("light", 1280), ("dark", 1280), ("dark", 390)):
        browser.prefer(scheme)
        browser.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        wide = "document.documentElement.scrollWidth - innerWidth"
        assert browser.run(wide) <= 0, f"{name} at {width} is cut off"
        browser.picture(path / f"{name}-{scheme}-{width}.png")


def test_saving_an_article_shows_at_once(site, browser, tmp_path):
    """What was made of it is gone, other articles' pages are not."""
    for page in (ARTICLE, OTHER, QUERY):
        browser.open(site.address + page)
        look_at(browser, tmp_path, page.split("/")[0])
    browser.ask("Emulation.clearDeviceMetricsOverride")
    browser.open(site.address)
    before = states(browser)
    assert set(before.values()) <= {"fresh", "stale", "stale, being made", "gone"}
    assert "gone" not in (before["Article json/decoder.py"], before["Last edited"])

    browser.submit("#edit form", summary="Reads what <b>JSON</b> says.")
    after = states(browser)
    assert after["Article json/decoder.py"] == "gone"
    assert after["Search “json decode error”"] == "gone"
    assert "Reads what <b>JSON</b> says." in browser.text("aside")
    assert "Saved json/decoder.py" in browser.text(".message")
    look_at(browser, tmp_path, "front")

    browser.open(f"{site.address}?article=json/encoder.py")
    assert states(browser)["Article json/encoder.py"] != "gone"
    browser.open(site.address + ARTICLE)
    assert browser.text(".summary") == "Reads what <b>JSON</b> says."
    assert browser.problems == []


def test_the_board_is_live(site, browser):
    """It says that a page has gone stale, and when the server is not there any more."""
    browser.open(site.address + ARTICLE)
    browser.open(site.address)
    name = "Article json/decoder.py"
    wait_until(lambda: states(browser)[name] == "stale", "a stale page")
    browser.run("board.dataset.url = '/nothing/'")
    wait_until(lambda: browser.run("board.classList.contains('old')"))


def test_an_empty_summary_is_refused(site, browser):
    """The form says why."""
    browser.open(site.address)
    browser.submit("#edit form", summary=" ")
    assert "required" in browser.text("#edit .errorlist")


def test_the_admin(site, browser, tmp_path):
    """The printed password opens it: live figures, and the history of what is due."""
    browser.open(f"{site.address}admin/")
    browser.submit("#login-form", username="admin", password=site.password())
    browser.open(f"{site.address}admin/holdover/region/")
    assert "library" in browser.text("#content")
    browser.picture(tmp_path / "regions.png")
    browser.open(f"{site.address}admin/holdover/schedulerun/")
    assert "sizes" in browser.text("#result_list")
    browser.picture(tmp_path / "runs.png")
    assert browser.problems == []


def test_the_toolbar_has_the_panel(site):
    """Developers see what regions told while the page was made."""
    assert "RegionPanel" in visit(site.address)


@pytest.mark.parametrize(
    ("name", "application", "options"),
    [
        ("gunicorn", "wsgi:application", ["--workers=2", "--threads=4"]),
        ("uvicorn", "asgi:application", ["--workers=2"]),
    ],
)
def test_under_other_servers(site, name, application, options):
    """A stale page is served at once, and the next one is made; files are there."""
    with WSGIServer(name, application, SITE, site.variables, *options) as server:
        page = server.address + ARTICLE
        first = MADE_AT.search(visit(page))[1]
        assert "color-scheme" in visit(f"{server.address}static/library/site.css")
        assert "RegionPanel" not in visit(server.address)
        time.sleep(1.1)  # it goes stale by the clock of other processes
        begun = time.monotonic()
        assert MADE_AT.search(visit(page))[1] == first
        assert time.monotonic() - begun < 0.95  # making it: 1 s
        wait_until(lambda: MADE_AT.search(visit(page))[1] != first, "the next page")


def test_its_checks_are_clean(site):
    """So are those for deployment, of a site behind TLS."""
    assert "System check identified no issues (0 silenced)" in site.said()
    for words, variables in (
        (("makemigrations", "--check"), {}),
        (("check", "--deploy", "--fail-level=INFO"), {"SITE_HTTPS": "1"}),
    ):
        done = site.manage(*words, **variables)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_port_that_is_taken(site):
    """The site says so and ends, with all of its parts."""
    port = site.address.split(":")[-1].strip("/")
    done = site.manage("site", "--port", port)
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "manage.py runserver has ended" in done.stderr


@pytest.mark.parametrize(
    "how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_no_part_outlives_it(site, how):
    """However it ends; and its second start makes nothing anew."""
    with Site(site.data.with_name("again"), SITE_DATA=str(site.data)) as again:
        assert ", password" not in again.said()
        parts = wait_until(lambda: len(found := again.parts()) == 2 and found)
        again.process.send_signal(how)
        again.process.wait(60)
        wait_until(lambda: not any(map(_is_alive, parts)), "their end")
    assert again.process.returncode == (0 if how == signal.SIGINT else -how)


def _is_alive(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


@pytest.mark.slow
def test_with_a_broker_its_worker_refreshes(tmp_path, redis_server):
    """Web processes order what is stale; the worker makes pages and jobs' values."""
    variables = {"SITE_FRESH_FOR": "1", "BROKER_URL": redis_server.url}
    with Site(tmp_path / "site", **variables) as site:
        page = site.address + ARTICLE
        first = MADE_AT.search(visit(page))[1]
        time.sleep(1.1)  # as above
        wait_until(lambda: MADE_AT.search(visit(page))[1] != first, "the next page")
        wait_until(lambda: "succeeded in" in site.said(), "the worker")
