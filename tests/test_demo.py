"""`holdover demo`: its parts by tables, and the whole of it once, as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import webtest
from click.testing import CliRunner
from waiting import wait_until

from holdover.cli import main
from holdover.demo import answers, caches, journal
from holdover.demo.answers import Answer, Run
from holdover.demo.corpus import Corpus, standard_library
from holdover.demo.errors import DemoError
from holdover.demo.expectations import expectations_of
from holdover.demo.figures import duplicates_among, figures_of, percentile
from holdover.demo.load import Load, Request
from holdover.demo.machine import Elsewhere
from holdover.demo.pages import AGE_HEADER, Pages
from holdover.demo.phases import Refresh, Result, running_site
from holdover.demo.placement import share_one_processor
from holdover.demo.processes import Child
from holdover.demo.queries import QUERIES, popularity
from holdover.demo.ranking import Hit, rank, terms_of
from holdover.demo.settings import Settings

pytestmark = [
    pytest.mark.xdist_group("demo"),  # one demonstration for all
    pytest.mark.timeout(300),  # which takes most of a minute on a quiet machine
]

TEXTS = {
    "cooking.py": "# how to stir a soup\ndef stir(soup):\n    return soup\n",
    "locks.py": "# Locks.\n\nclass Lock:  # a thread's\n    # one thread locks\n",
    "long.py": "# a thread\n" + "nothing = 0\n" * 500,
    "pool/threads.py": "import threads\nTHREADS = threads.many()\n",
}


# --- searching ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("thread lock", "locks.py"),
        ("THREAD Lock", "locks.py"),
        ("threads", "pool/threads.py"),
        ("soup", "cooking.py"),
    ],
)
def test_the_file_that_is_about_the_query_comes_first(query, best):
    """Case and common endings do not matter; names and definitions do."""
    assert best == rank(Corpus.of(TEXTS), query)[0].path


def test_a_hit_shows_the_line_in_which_most_terms_stand_together():
    """Of a class and the comment below it, the class is shown."""
    hit = rank(Corpus.of(TEXTS), "thread lock")[0]
    assert (3, "class Lock:  # a thread's") == (hit.line, hit.snippet)


@pytest.mark.parametrize("query", ["", "!", "x", "unheard_of"])
def test_what_cannot_be_found_is_not_found(query):
    """No words, words too short, words that stand nowhere: no hits, no error."""
    assert () == rank(Corpus.of(TEXTS), query)


def test_no_more_hits_than_asked_for():
    """`limit` bounds the answer."""
    assert 1 == len(rank(Corpus.of(TEXTS), "thread", limit=1))


def test_an_empty_corpus_has_no_hits():
    """Nothing is divided by nothing."""
    assert () == rank(Corpus.of({}), "thread")


def test_terms_are_few_and_different():
    """A query of a hundred words costs no more than one of six."""
    assert ["a1", "b2"] == terms_of("A1 b2 a1, B2")
    assert 6 == len(terms_of(" ".join(f"word{n}" for n in range(100))))


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("json decode error", "json/decoder.py"),
        ("heap push pop", "heapq.py"),
        ("zip archive extract", "zipfile"),
        ("dataclass field default", "dataclasses.py"),
    ],
)
def test_the_standard_library_is_searched_sensibly(query, best):
    """Its own modules answer for what they are about."""
    assert rank(standard_library(), query)[0].path.startswith(best)


def test_every_query_of_the_visitors_finds_something():
    """No page of the demonstration is empty."""
    assert all(rank(standard_library(), query, limit=1) for query in QUERIES)


def test_popularity_follows_zipfs_law():
    """The n-th query is asked 1/n times as often as the first."""
    assert [1.0, 0.5, 1 / 3] == popularity(3)


# --- the site -------------------------------------------------------------------------


def answer_to(query: str, made_at: float = 0.0) -> Answer:
    """Make an answer without searching."""
    hit = Hit("<b>.py", 1.0, 7, "a < b")
    return Answer(query, (hit,), files=3, made_at=made_at, cost=0.03)


def site_of(lookup) -> webtest.TestApp:
    """Make the site, with a check that it keeps to PEP 3333."""
    return webtest.TestApp(Pages(lookup), lint=True)


def test_the_page_shows_what_was_found_and_how_old_it_is():
    """The header is for the load generator, the footer for people."""
    made_at = time.time() - 2
    page = site_of(lambda query: answer_to(query, made_at)).get("/?q=+thread++lock+")
    assert 2 <= float(page.headers[AGE_HEADER]) < 10
    assert "line 7" in page
    assert "thread lock" == page.form["q"].value


def test_a_value_made_for_the_visitor_has_age_zero():
    """Whoever waited for a creator is told apart from whoever got a kept value."""
    page = site_of(lambda query: answer_to(query, time.time())).get("/?q=x")
    assert 0 == float(page.headers[AGE_HEADER])


def test_hostile_queries_and_sources_stay_text():
    """Neither what is asked nor what is found can become markup."""
    page = site_of(answer_to).get("/", {"q": '"><script>alert(1)</script>'})
    assert "<script" not in page
    assert "<b>.py" not in page
    assert "a &lt; b" in page


def test_a_query_is_cut_to_a_hundred_characters():
    """No visitor can make a key or a search as long as he likes."""
    asked = []

    def lookup(query):
        asked.append(query)
        return answer_to(query)

    site_of(lookup).get("/?q=" + "long+" * 1000)
    assert [100] == [len(query) for query in asked]


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/", 200, "Often asked"),
        ("/?q=", 200, "Often asked"),
        ("/?other=1", 200, "Often asked"),
        ("/favicon.ico", 404, "nothing here"),
    ],
)
def test_other_pages_search_for_nothing(target, status, text):
    """Only a query costs anything."""
    site = site_of(lambda query: pytest.fail(f"searched for {query!r}"))
    assert text in site.get(target, status=status)


# --- the ways that are compared -------------------------------------------------------


@pytest.fixture
def settings(tmp_path):
    """Values that are fresh for 5 s."""
    return Settings(directory=tmp_path, expiration_time=5.0)


@pytest.mark.parametrize(
    ("name", "runs"), [("no_cache", 4), ("plain_expiry", 2), ("dogpile_cache", 2)]
)
def test_each_way_searches_as_often_as_it_should(name, runs, settings, monkeypatch):
    """Two visits to each of two pages within the expiration time."""
    made = []

    def make_answer(query):
        made.append(query)
        return answer_to(query, time.time())

    monkeypatch.setattr(caches, "make_answer", make_answer)
    lookup = caches.way_named(name).prepare(settings)
    for query in ("one", "two", "one", "two"):
        assert query == lookup(query).query
    assert runs == len(made)


def test_plain_expiry_searches_again_when_the_value_has_expired(settings, monkeypatch):
    """A value is not served beyond its time, as the naive way has it."""
    made = []

    def make_answer(query):
        made.append(query)
        return answer_to(query, time.time() - settings.expiration_time * len(made))

    monkeypatch.setattr(caches, "make_answer", make_answer)
    lookup = caches.way_named("plain_expiry").prepare(settings)
    for _ in range(3):
        lookup("one")
    assert 3 == len(made)


def test_a_run_of_the_creator_leaves_a_note(settings, monkeypatch):
    """Whatever process it ran in; outside of a demonstration it leaves none."""
    monkeypatch.setattr(answers, "standard_library", lambda: Corpus.of(TEXTS))
    answers.make_answer("soup")
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    assert settings == Settings.from_environment()
    answers.make_answer("soup")
    (run,) = [Run(**record) for record in journal.read(settings.runs)]
    assert ("soup", os.getpid()) == (run.query, run.pid)
    assert run.started_at <= run.ended_at


def test_a_journal_is_read_up_to_its_last_whole_line(tmp_path):
    """A line that is being written is left for the next reading."""
    file = tmp_path / "journal"
    assert [] == journal.read(file)
    journal.append(file, {"n": 1})
    with file.open("ab") as unfinished:
        unfinished.write(b'{"n": ')
    assert [{"n": 1}] == journal.read(file)


# --- figures --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 99, 0.0),
        ([3.0], 50, 3.0),
        ([1.0, 2.0], 50, 1.0),
        ([2.0, 1.0, 3.0], 50, 2.0),
        (range(1, 101), 99, 99),
        (range(1, 101), 100, 100),
        (range(1, 1001), 99, 990),
    ],
)
def test_percentiles_are_values_that_were_seen(values, percent, expected):
    """Nearest rank: nothing is interpolated."""
    assert expected == percentile(values, percent)


def run_of(query: str, started_at: float, ended_at: float) -> Run:
    """Make a run, of some process."""
    return Run(query, 1, started_at, ended_at)


@pytest.mark.parametrize(
    ("runs", "duplicates"),
    [
        ([], 0),
        ([("a", 0, 1)], 0),
        ([("a", 0, 1), ("b", 0, 1)], 0),
        ([("a", 0, 1), ("a", 0.5, 1.5)], 1),  # while the other was under way
        ([("a", 0, 1), ("a", 3, 4)], 1),  # while its value was fresh
        ([("a", 0, 1), ("a", 11, 12)], 0),  # when it had just expired
        ([("a", 0, 1), ("a", 11, 12), ("a", 21, 22)], 1),
        ([("a", 11, 12), ("a", 0, 1)], 0),  # as they happen to be noted
        ([("a", 0, 9), ("a", 1, 2), ("a", 13, 14)], 2),  # the slow one counts
    ],
)
def test_a_run_is_a_duplicate_if_it_need_not_have_been(runs, duplicates):
    """Values are fresh for 10 s here."""
    assert duplicates == len(duplicates_among([run_of(*run) for run in runs], 10.0))


def request(started_at, latency, age, *, first_pass=False, failed=False) -> Request:
    """Make a request."""
    return Request(started_at, latency, age, first_pass, failed)


REQUESTS = [
    request(0.0, 0.900, 0.0, first_pass=True),
    request(1.0, 0.002, 0.5),
    request(2.0, 0.001, 1.5),
    request(3.0, 0.003, 2.5),  # stale
    request(4.0, 0.200, 0.0),
    request(5.0, 0.004, 0.0, failed=True),
]
RUNS = [run_of("a", 0.0, 0.5), run_of("a", 4.0, 4.1), run_of("a", 4.05, 4.2)]


@pytest.mark.parametrize(
    ("name", "whole", "later"),
    [
        ("requests", 6, 5),
        ("failed", 1, 1),
        ("median", 0.003, 0.003),
        ("median_hit", 0.001, 0.001),
        ("p99", 0.9, 0.2),
        ("maximum", 0.9, 0.2),
        ("slow", 2, 1),
        ("creator_runs", 3, 2),
        ("duplicate_runs", 1, 1),
        ("stale_served", 1, 1),
        ("oldest", 2.5, 2.5),
    ],
)
def test_figures(name, whole, later):
    """Of everything, and of what began after the first pass."""
    all_of_it = figures_of(REQUESTS, RUNS, expiration_time=2.0)
    rest = figures_of(REQUESTS, RUNS, expiration_time=2.0, since=1.0)
    assert (whole, later) == (getattr(all_of_it, name), getattr(rest, name))


def test_figures_of_nothing_are_zero():
    """A phase without requests breaks nothing."""
    assert 0 == figures_of([], [], expiration_time=1.0).p99


def result_of(requests, runs, refreshes, foreground_runs=0) -> Result:
    """Make a phase in which everything came after the first pass."""
    figures = figures_of(requests, runs, expiration_time=2.0)
    return Result(
        way=caches.HOLDOVER,
        requests=requests,
        first_pass_ended_at=0.0,
        refreshes=[Refresh(task_id=name, done=True) for name in refreshes],
        worker_pids=[7] if refreshes else [],
        foreground_runs=foreground_runs,
        elsewhere=None,
        whole=figures,
        later=figures,
    )


QUICK_HITS = [request(n, 0.001, 1.0) for n in range(99)]
SINGLE = [run_of("a", 0.0, 0.1)]


@pytest.mark.parametrize(
    ("result", "held"),
    [
        (result_of(QUICK_HITS, SINGLE, ["t1"]), [True, True, True, True]),
        # 3 x 1 ms + 5 ms
        (
            result_of([*QUICK_HITS, *[request(99, 0.008, 1.0)] * 2], SINGLE, ["t1"]),
            [True, True, True, True],
        ),
        (
            result_of([*QUICK_HITS, *[request(99, 0.0081, 1.0)] * 2], SINGLE, ["t1"]),
            [False, True, True, True],
        ),
        (
            result_of([*QUICK_HITS, request(99, 0.101, 1.0)], SINGLE, ["t1"]),
            [True, False, True, True],
        ),
        (result_of(QUICK_HITS, SINGLE * 2, ["t1"]), [True, True, False, True]),
        (result_of(QUICK_HITS, SINGLE, []), [True, True, True, False]),
        (result_of(QUICK_HITS, SINGLE, ["t1", "t1"]), [True, True, True, False]),
        (result_of(QUICK_HITS, SINGLE, ["t1"], 1), [True, True, True, False]),
    ],
)
def test_expectations(result, held):
    """Latency, slow requests, duplicates and Celery tasks, each by itself."""
    assert held == [one.held for one in expectations_of(result)]


@pytest.mark.parametrize(
    ("elsewhere", "told"), [(None, False), (0.05, False), (0.5, True)]
)
def test_a_busy_machine_is_told_of(elsewhere, told):
    """Beside the latency that it may explain."""
    result = replace(result_of(QUICK_HITS, SINGLE, ["t1"]), elsewhere=elsewhere)
    assert told == ("50% of a processor" in expectations_of(result)[0].seen)


def test_other_programs_are_told_apart_from_ours():
    """What this process computes is not counted."""
    elsewhere = Elsewhere()
    begun = time.process_time()
    while time.process_time() - begun < 0.2:
        pass
    busy = elsewhere.processors()
    assert busy is None or 0 <= busy < os.cpu_count()


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system places threads itself"
)
def test_the_site_and_its_visitors_share_one_processor():
    """And nothing else is moved: a thread that was running may use any."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(share_one_processor).result()
        inside = thread.submit(os.sched_getaffinity, 0).result()
    outside = os.sched_getaffinity(0)
    assert {min(outside)} == inside


# --- processes ------------------------------------------------------------------------


def is_running(pid: int) -> bool:
    """Say whether a process is there and not just waiting to be buried."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def descendants(pid: int) -> list[int]:
    """Give the processes below *pid*."""
    below = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, tasks.read_text().split()):
                below += [child, *descendants(child)]
    return below


def wait_until_gone(pids: list[int], within: float = 30.0) -> list[int]:
    """Wait for processes to end; give those that did not."""
    deadline = time.monotonic() + within
    while (left := [pid for pid in pids if is_running(pid)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.02)
    return left


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="looks processes up in /proc"
)

_HOST = """
import sys, threading
from pathlib import Path
from holdover.demo.caches import HOLDOVER
from holdover.demo.phases import running_site
from holdover.demo.settings import Settings

settings = Settings(directory=Path(sys.argv[1]), expiration_time=0.01)
with running_site(HOLDOVER, settings) as site:
    print(site.url, flush=True)
    threading.Event().wait()
"""


@needs_proc
def test_no_process_outlives_a_killed_demonstration(tmp_path):
    """SIGKILL for the parent; its site and the site's worker notice by themselves."""
    host = subprocess.Popen(
        [sys.executable, "-c", _HOST, str(tmp_path)], stdout=subprocess.PIPE
    )
    with host:
        url = host.stdout.readline().decode().strip()

        def with_a_worker():
            fetch(f"{url}/?q=heap+push")  # the second visit finds a stale value
            return len(found := descendants(host.pid)) == 2 and found

        below = wait_until(with_a_worker, "the worker")
        host.kill()
    assert [] == wait_until_gone(below)


@needs_proc
def test_a_site_ends_with_its_block(tmp_path):
    """Its worker too, by the time that the block is left."""
    settings = Settings(directory=tmp_path, expiration_time=0.01)
    with running_site(caches.HOLDOVER, settings) as site:
        below = [site.pid, *descendants(site.pid)]
    assert [] == wait_until_gone(below)


def test_a_child_that_cannot_start_tells_why(tmp_path):
    """In one line: its last words."""
    with (
        Child("server", "no_cache", {}, tmp_path / "log") as child,
        pytest.raises(
            DemoError, match=r"the server process did not start: .*DemoError"
        ),
    ):
        child.first_message(within=30)


def test_a_child_that_takes_too_long_is_ended(tmp_path):
    """Nothing waits without a bound."""
    load = Load(url="http://127.0.0.1:9", seconds=60)
    with (
        Child("visitors", load.to_json(), {}, tmp_path / "log") as child,
        pytest.raises(DemoError, match="ended with status"),
    ):
        list(child.messages(within=0.05))


def test_visitors_tell_of_a_site_that_is_not_there(tmp_path):
    """Requests without an answer are counted, not hidden."""
    load = Load(url="http://127.0.0.1:9", seconds=0.2, visitors=2, queries=2)
    with Child("visitors", load.to_json(), {}, tmp_path / "log") as child:
        *_, last = child.messages(within=30)
    requests = [Request(*record) for record in last["requests"]]
    assert requests
    assert all(one.failed for one in requests)


def test_visitors_come_again_though_the_first_pass_took_all_the_time(tmp_path):
    """Or else a slow machine would have no figures of what comes after it."""
    load = Load(url="http://127.0.0.1:9", seconds=0.0, visitors=3, queries=2)
    with Child("visitors", load.to_json(), {}, tmp_path / "log") as child:
        *_, last = child.messages(within=30)
    requests = [Request(*record) for record in last["requests"]]
    assert [one.first_pass for one in requests] == [True] * 2 + [False] * 3


# --- the whole ------------------------------------------------------------------------


def fetch(url: str) -> str:
    """Get a page over HTTP."""
    with urllib.request.urlopen(url, timeout=20) as response:
        return response.read().decode()


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory) -> Iterator[dict]:
    """Run it once, as a user would; leave its site up for the tests of this module."""
    output = tmp_path_factory.mktemp("demo") / "plots"
    command = [sys.executable, "-c", "from holdover.cli import main; main()"]
    options = ["--quick", "--json", "--serve", "--output", str(output)]
    process = subprocess.Popen(
        [*command, "demo", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("scratch"))},
    )
    with process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read().decode()
            yield {"figures": json.loads(line), "process": process, "output": output}
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()


@pytest.fixture(scope="module")
def figures(demonstration) -> dict:
    """Give what it printed on the last line."""
    return demonstration["figures"]


def test_the_demonstration_compares_four_ways(figures):
    """Each has its figures, of the whole phase and after the first pass."""
    assert [way.name for way in caches.WAYS] == [p["name"] for p in figures["phases"]]
    for phase in figures["phases"]:
        whole, later = phase["whole"], phase["after_first_pass"]
        assert 0 == whole["failed"]
        assert whole["requests"] - figures["plan"]["queries"] == later["requests"]
        assert later["requests"] > 0
        assert 0 < later["median"] <= later["p99"] <= later["maximum"]
        assert whole["creator_runs"] >= figures["plan"]["queries"]


def test_without_a_cache_every_request_has_its_run(figures):
    """The load is counted in the same way on both sides."""
    whole = figures["phases"][0]["whole"]
    assert whole["requests"] == whole["creator_runs"]
    assert 0 == whole["stale_served"]


def test_with_holdover_celery_tasks_do_the_creating(figures):
    """After the first pass, no visitor does, and nothing is made twice."""
    phase = figures["phases"][-1]
    assert 0 == phase["foreground_runs"]
    assert 0 == phase["after_first_pass"]["duplicate_runs"]
    assert 0 < phase["refreshes"] == len(set(phase["task_ids"]))
    assert phase["refreshes"] <= phase["after_first_pass"]["creator_runs"]


def test_every_expectation_is_judged(figures):
    """Whether latencies held is the machine's business, not this test's."""
    assert 4 == len(figures["expectations"])
    for one in figures["expectations"]:
        assert {"text", "held", "seen"} == set(one)
    assert all(one["held"] for one in figures["expectations"][2:])


def test_the_plots_are_an_svg_and_a_png(figures, demonstration):
    """In the folder that was asked for."""
    svg, png = (Path(path) for path in figures["plots"])
    assert demonstration["output"] == svg.parent == png.parent
    assert ET.parse(svg).getroot().tag.endswith("svg")
    assert png.read_bytes().startswith(b"\x89PNG\r\n")


def test_the_site_stays_up_and_answers(figures):
    """With `--serve`: a page of the Holdover site, over HTTP."""
    assert "heapq.py" in fetch(f"{figures['url']}/?q=heap+push+pop")


def test_a_browser_shows_what_was_found(figures, tmp_path):
    """The page works in a real browser, which runs no script to show it."""
    browser = shutil.which("chromium")
    assert browser, "chromium is missing: apt-get install chromium (tools/servers.sh)"
    quiet = ["--disable-gpu", "--disable-quic", "--disable-background-networking"]
    quiet += ["--no-first-run", "--disable-component-update", "--disable-sync"]
    page = subprocess.run(
        [
            *[browser, "--headless", "--no-sandbox", *quiet, "--dump-dom"],
            *[f"--user-data-dir={tmp_path}", f"{figures['url']}/?q=heap+push+pop"],
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert "heapq.py" in page
    assert 'value="heap push pop"' in page


@needs_proc
def test_ctrl_c_ends_everything(tmp_path):
    """In the middle of a phase: no process stays, nor a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from holdover.cli import main; main()", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with process:
        while not list(tmp_path.glob("holdover-demo-*/no_cache/runs.jsonl")):
            assert process.poll() is None
            time.sleep(0.05)
        below = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        output = process.stdout.read().decode()
        assert 1 == process.wait(60)
    assert "Traceback" not in output
    assert len(below) >= 2
    assert [] == wait_until_gone(below)
    assert [] == list(tmp_path.glob("holdover-demo-*"))


# --- the command line -----------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    """Before anything is measured."""
    (tmp_path / "file").touch()
    outcome = CliRunner().invoke(
        main, ["demo", "--output", str(tmp_path / "file" / "x")]
    )
    assert 1 == outcome.exit_code
    assert outcome.output.startswith("holdover: ")
    assert 1 == outcome.output.count("\n")


def test_a_missing_library_is_told_with_its_extra(monkeypatch):
    """The message is what to type."""
    module = sys.modules["holdover.cli.demo"]  # a command goes by that name, too
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    outcome = CliRunner().invoke(main, ["demo"])
    assert 2 == outcome.exit_code
    assert "pip install 'holdover[demo]'" in outcome.output


def test_help_loads_nothing_heavy():
    """`holdover --help` is quick."""
    code = (
        "import sys; from click.testing import CliRunner;"
        "from holdover.cli import main;"
        "CliRunner().invoke(main, ['demo', '--help']);"
        "print({'celery', 'matplotlib', 'rich', 'waitress'} & set(sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "set()" == shown.stdout.strip()
