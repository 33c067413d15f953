"""What a page from the HTTP response cache costs, and that nobody waits for the next.

    python benchmarks/http_cache.py [alone|served|slow] [--rounds 21] [--seconds 3]

"alone" calls the middleware without a server, interleaved with the same application
bare: "added" is what it takes longer, best round against best round, and "read" what of
that is the region's, which reads and decodes the page, and for one that varies first
its variants. At most 25 us are added in memory.

"served" has gunicorn (one process, four threads) serve that page, and wrk (one thread,
16 connections) ask for it, beside the bare application, Django's per-site cache and
nginx's; ours must not be slower than Django's.

"slow" asks 200 times a second for a page that takes 1 s to make and lasts 1 s. Of all
requests past the first none may take longer than 100 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from http_site import PAGE, bare, holdover_in

from holdover.wsgi.http.messages import Stored, Target
from holdover.wsgi.http.variants import Variants, primary_key

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from interleaved import Timed, measure
from requesting import environ_of, requests_to
from servers import RedisServer, free_port, program
from waiting import wait_until

HERE = Path(__file__).parent
MOST_IN_MEMORY = 25.0  # microseconds
MOST_WAIT = 0.1  # seconds
SLICE = 0.01  # seconds per subject and round
RATE = 200  # requests per second
SLOW_SECONDS = 15.0
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


# -- alone --------------------------------------------------------------------------


@dataclass
class Subject(Timed):
    store: str
    call: Callable[[], object]
    times: list[float] = field(default_factory=list)
    at_once: int = 10


AS_BROWSERS_DO = {  # and as gunicorn hands it on
    "HTTP_HOST": "example.com",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
    "HTTP_ACCEPT_LANGUAGE": "en",
    "HTTP_COOKIE": "theme=dark",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64)",
}


def hits_of(app, path: str = "/page") -> Callable[[], object]:
    """Give a function that asks for a page."""
    environ = environ_of(**AS_BROWSERS_DO, PATH_INFO=path, RAW_URI=path)
    return requests_to(app, environ, len(PAGE))


def alone(stores: dict[str, str], rounds: int) -> list[dict[str, object]]:
    base, subjects, reads = Subject("none", hits_of(bare)), [], []
    for name, url in stores.items():
        app = holdover_in(url)
        subjects.append(Subject(name, hits_of(app)))
        reads.append(Subject(name, reads_of(app, "/page")))
        subjects.append(Subject(f"{name}, varied", hits_of(app, "/varied")))
        reads.append(Subject(name, reads_of(app, "/varied")))
    measure([base, *subjects, *reads], rounds, SLICE)
    return [
        {
            "store": one.store,
            "added_us": round(one.best - base.best, 2),
            "read_us": round(read.best, 2),
            "added_median_us": round(one.median - base.median, 2),
            "bare_us": round(base.best, 2),
            "of_bare": round(one.best / base.best, 1),
            "is_missed": one.store.startswith("memory")
            and one.best - base.best > MOST_IN_MEMORY,
        }
        for one, read in zip(subjects, reads, strict=True)
    ]


def reads_of(app, path: str) -> Callable[[], object]:
    """Give a function that reads what a hit reads: one page, or first its variants."""
    hits_of(app, path)()
    region = app._pages.region
    primary = primary_key(Target("https", "example.com", path))
    keys, found = [primary], region.get(primary)
    if isinstance(found, Variants):
        keys.append(found.key(primary, found.known[0]))

    def call() -> object:
        return [region.get(key).__class__ for key in keys]

    assert call()[-1] is Stored
    return call


# -- served -------------------------------------------------------------------------


@contextlib.contextmanager
def running(command: list[str], port: int, path: str, **variables: str):
    """Start a server, wait until it serves a page, and stop it in the end."""
    process = subprocess.Popen(
        command,
        cwd=HERE,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert process.poll() is None, command
        with contextlib.suppress(OSError):
            return fetched(port, path) == PAGE
        return False

    try:
        wait_until(answers, "an answer of the server")
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def fetched(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read()


def gunicorn(subject: str, store: str = "", *, threads: int = 4, path: str = "/page"):
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}"]
    command += [f"--threads={threads}", "http_site:application"]
    return running(command, port, path, SUBJECT=subject, STORE=store)


def nginx(folder: Path, origin: int):
    port = free_port()
    folder.mkdir()
    settings = folder / "nginx.conf"
    # Its worker must reach a folder that is ours alone.
    user = "user root;" if os.geteuid() == 0 else ""
    settings.write_text(f"""
{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    proxy_cache_path {folder}/cache keys_zone=pages:1m;
    proxy_temp_path {folder}/proxy; client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{origin}; proxy_cache pages; }}
    }}
}}
""")
    command = [program("nginx", "nginx-light"), "-c", str(settings)]
    return running(command, port, "/page")


def asked_by_wrk(port: int, seconds: int) -> dict[str, float]:
    run = subprocess.run(
        [
            program("wrk", "wrk"),
            "-t1",
            "-c16",
            f"-d{seconds}s",
            "--latency",
            url_of(port),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 30,
    )
    assert "Non-2xx" not in run.stdout, run.stdout
    spans = re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)\b", run.stdout)
    found = {f"p{part}": float(span) * UNITS[unit] for part, span, unit in spans}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", run.stdout)
    assert rate is not None, run.stdout
    return {"rate": float(rate[1]), **found}


def url_of(port: int) -> str:
    return f"http://127.0.0.1:{port}/page"


@contextlib.contextmanager
def all_served(stores: dict[str, str], folder: Path) -> Iterator[dict[str, int]]:
    with contextlib.ExitStack() as stack:
        ports = {"bare": stack.enter_context(gunicorn("bare"))}
        for name, url in stores.items():
            ports[f"holdover, {name}"] = stack.enter_context(gunicorn("holdover", url))
        for name in ("memory", "redis"):
            kept = stores[name].removeprefix("memory://")
            ports[f"django, {name}"] = stack.enter_context(gunicorn("django", kept))
        ports["nginx, file"] = stack.enter_context(
            nginx(folder / "nginx", ports["bare"])
        )
        yield ports


def served(
    stores: dict[str, str], folder: Path, rounds: int, seconds: int
) -> list[dict[str, object]]:
    runs: dict[str, list[dict[str, float]]] = {}
    with all_served(stores, folder) as ports:
        for _ in range(rounds):
            for name, port in ports.items():
                runs.setdefault(name, []).append(asked_by_wrk(port, seconds))
    rates = {name: max(one["rate"] for one in found) for name, found in runs.items()}
    return [
        {
            "server": name,
            "rate": round(rates[name]),
            "p50_ms": round(statistics.median(one["p50"] for one in found), 2),
            "p99_ms": round(statistics.median(one["p99"] for one in found), 2),
            "of_bare": round(rates[name] / rates["bare"], 2),
            "is_missed": rates[name] < rates.get(name.replace("holdover", "django"), 0),
        }
        for name, found in runs.items()
    ]


# -- slow ---------------------------------------------------------------------------


class Load:
    """Asks for a page at fixed times, whether or not it has had its answers.

    What a request takes is counted from when it was due, so that a server that makes
    one wait is not spared those behind it.
    """

    def __init__(self, port: int, clients: int = 16) -> None:
        self.waits: list[float] = []
        self._port = port
        self._clients = clients

    def run(self, seconds: float) -> None:
        begin = time.monotonic() + 0.2
        threads = [
            threading.Thread(target=self._ask, args=(begin, number, seconds))
            for number in range(self._clients)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

    def _ask(self, begin: float, number: int, seconds: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        for turn in range(number, int(seconds * RATE), self._clients):
            due = begin + turn / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            connection.request("GET", "/slow")
            assert connection.getresponse().read() == PAGE
            self.waits.append(time.monotonic() - due)
        connection.close()


def slow(stores: dict[str, str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, url in stores.items():
        # Sixteen threads: gunicorn gives each open connection's request one.
        with gunicorn("holdover", url, threads=16, path="/slow") as port:
            load = Load(port)
            load.run(SLOW_SECONDS)
        waits = sorted(load.waits)
        rows.append(
            {
                "store": name,
                "requests": len(waits),
                "p50_ms": round(waits[len(waits) // 2] * 1e3, 1),
                "p99_ms": round(waits[len(waits) * 99 // 100] * 1e3, 1),
                "max_ms": round(waits[-1] * 1e3, 1),
                "is_missed": waits[-1] > MOST_WAIT,
            }
        )
    return rows


# -- all ----------------------------------------------------------------------------


def show(title: str, rows: list[dict[str, object]]) -> None:
    print(f"\n{title}")
    columns = [name for name in rows[0] if name != "is_missed"]
    print(f"{columns[0]:18}" + "".join(f"{name:>17}" for name in columns[1:]))
    for row in rows:
        cells = "".join(f"{row[name]!s:>17}" for name in columns[1:])
        print(f"{row[columns[0]]!s:18}{cells}" + " !" * bool(row["is_missed"]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", choices=["alone", "served", "slow"])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=int, default=3, help="of each run of wrk")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, RedisServer(name) as server:
        folder = Path(name)
        stores = {"memory": "memory://", "file": f"file://{name}/pages"}
        stores["redis"] = server.url
        parts = {
            "alone": lambda: alone(stores, options.rounds),
            "served": lambda: served(
                stores, folder, max(1, options.rounds // 7), options.seconds
            ),
            "slow": lambda: slow(stores),
        }
        found = {
            part: run() for part, run in parts.items() if options.part in (None, part)
        }
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], **found}))
    else:
        for part, rows in found.items():
            show(part, rows)
    return 1 if any(row["is_missed"] for rows in found.values() for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
