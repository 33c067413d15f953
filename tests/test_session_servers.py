"""Sessions in applications of several frameworks, under real servers."""

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error

import pytest
from serving import EXAMPLES, Visitor, served, sessions_served
from waiting import wait_until

SESSIONS = EXAMPLES / "sessions"
GUNICORN = ("--preload", "--graceful-timeout=1")
THREADS = ("--worker-class=gthread", "--threads=4")
VISITORS = 6
KILLS = 6
VISITS = 20  # that are counted between two kills, at least


@pytest.mark.parametrize(
    "name", ["plain_app", "flask_app", "pyramid_app", "bottle_app"]
)
def test_an_example_counts_its_visits(name):
    """Each browser its own."""
    with served(SESSIONS / f"{name}.py", "0") as address:
        ann, bob = Visitor(), Visitor()
        assert [ann.ask(address) for _ in range(3)] == [
            f"visit {n}\n" for n in (1, 2, 3)
        ]
        assert bob.ask(address) == "visit 1\n"


@pytest.mark.parametrize("name", ["flask_app", "pyramid_app", "bottle_app"])
def test_an_example_lets_users_in_and_out(name):
    """Under another id, and what was in the session stays; until they leave."""
    with served(SESSIONS / f"{name}.py", "0") as address:
        ann = Visitor()
        ann.ask(address)
        before = ann.cookies
        assert ann.ask(f"{address}login/ann", "POST") == "welcome, ann\n"
        assert before != ann.cookies
        assert ann.ask(address) == "visit 2\n"
        assert ann.ask(f"{address}logout", "POST") == "good-bye\n"
        assert ann.cookies == []
        assert ann.ask(address) == "visit 1\n"


@pytest.mark.parametrize("kind", ["cookie", "file", "sqlite", "redis", "memcached"])
def test_an_example_needs_no_server(kind, tmp_path, request):
    """Create, change, revert and delete, wherever sessions are kept."""
    store = {
        "cookie": lambda: "cookie",
        "file": lambda: f"file://{tmp_path}/sessions",
        "sqlite": lambda: f"sqlite:///{tmp_path}/sessions.db?operation_timeout=5",
        "redis": lambda: request.getfixturevalue("redis_server").patient_url,
        "memcached": lambda: (
            f"memcached://{request.getfixturevalue('memcached_server').url}"
            "?socket_timeout=5&socket_connect_timeout=5"
        ),
    }[kind]()
    run = subprocess.run(
        [sys.executable, SESSIONS / "without_server.py", store],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    changed = "{'visits': 1, 'cart': ['tea', 'cups']}"
    assert run.stdout.startswith(
        "created: {'visits': 1, 'cart': ['tea']}\n"
        f"changed: {changed}\nreverted: {changed}\ndeleted: {{}} - __Host-session=;"
    )
    assert run.stdout.endswith("gone: {}\n") is (kind != "cookie")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("waitress", ()),
        ("gunicorn", ("--workers=2", *GUNICORN)),
        ("gunicorn", (*THREADS, *GUNICORN)),
    ],
)
def test_a_server_s_processes_share_sessions(name, options, tmp_path):
    """Also those that were forked from one that had made the middleware."""
    with sessions_served(name, f"file://{tmp_path}/sessions", *options) as server:
        ann = Visitor()
        assert [ann.ask(server.address) for _ in range(10)] == [
            f"visit {n}\n" for n in range(1, 11)
        ]


class Counting(threading.Thread):
    """A visitor who checks that all his visits count, whatever befalls the server.

    A request that got no answer may have counted or not; one that got an answer has.

    Args:
        address: The page.
        over: Set when to stop.
    """

    def __init__(self, address, over):
        super().__init__(daemon=True)
        self._address = address
        self._over = over
        self.acknowledged = 0
        self.wrong = []

    def run(self):
        """Visit the page again and again."""
        visitor, known, lost = Visitor(), 0, 0
        while not self._over.is_set():
            try:
                text = visitor.ask(self._address)
            except (TimeoutError, urllib.error.HTTPError) as error:
                self.wrong.append(repr(error))
                return
            except (OSError, http.client.HTTPException):
                lost += visitor.cookies != []
                time.sleep(0.01)  # until the server is back
                continue
            count = int(re.fullmatch(r"visit (\d+)\n", text).group(1))
            if not known < count <= known + lost + 1:
                self.wrong.append((known, lost, count))
            known, lost = count, 0
            self.acknowledged += 1


@pytest.mark.slow
@pytest.mark.parametrize("store", ["file", "redis"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gunicorn", ("--workers=3", *GUNICORN)),
        ("gunicorn", ("--workers=2", *THREADS, *GUNICORN)),
        ("waitress", ("--threads=4",)),
    ],
    ids=["prefork", "gthread", "waitress"],
)
def test_no_visit_is_lost_with_a_worker(name, options, store, tmp_path, own_redis):
    """Workers are killed under load; each acknowledged visit counts exactly once."""
    url = own_redis.patient_url if store == "redis" else f"file://{tmp_path}/sessions"
    with sessions_served(name, url, *options) as server:
        over = threading.Event()
        visitors = [Counting(server.address, over) for _ in range(VISITORS)]
        for one in visitors:
            one.start()
        for _ in range(KILLS):
            under_load(visitors)
            killed(name, server)
        under_load(visitors)
        over.set()
        for one in visitors:
            one.join()
    assert [one.wrong for one in visitors] == [[]] * VISITORS


def under_load(visitors):
    """Wait until some more visits were counted, or one was wrongly."""
    counted = sum(one.acknowledged for one in visitors)
    wait_until(
        lambda: (
            sum(one.acknowledged for one in visitors) >= counted + VISITS
            or any(one.wrong for one in visitors)
        ),
        "an answer",
    )


def killed(name, server):
    """Kill a worker; the server itself if it has none, and start it again."""
    if name == "gunicorn":
        wait_until(lambda: killed_one(server.workers()), "a worker that can be killed")
        return
    server.process.kill()
    server.process.wait()
    server.start()


def killed_one(pids):
    """Kill the first that is still there; tell whether there was one."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it ended since they were listed
            os.kill(pid, signal.SIGKILL)
            return True
    return False
