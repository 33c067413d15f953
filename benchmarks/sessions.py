"""What a session costs a request: ours beside Beaker's.

    python benchmarks/sessions.py [--rounds 21] [--json]

All subjects run interleaved in one process, around the same bare application; "added"
is what a subject takes longer than that does by itself, best round against best round.
Read the ratios. The last column must be below 1, and for files at most a tenth.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from beaker.middleware import SessionMiddleware as BeakerMiddleware

from holdover.wsgi import SessionMiddleware

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from interleaved import Timed, measure
from requesting import environ_of, requests_to
from servers import RedisServer

SLICE = 0.01  # seconds per subject and round
FILE_LIMIT = 0.1  # of Beaker's cost
SECRET = "a secret of at least 32 bytes, not to be used"  # noqa: S105 - says so
CASES = ("untouched", "new", "read", "read and write")
HELLO = b"hello"
VALUE = {"name": "abcdefgh", "roles": ["reader", "writer"], "visits": 12}


@dataclass
class Subject(Timed):
    library: str
    store: str
    case: str
    call: Callable[[], object]
    times: list[float] = field(default_factory=list)
    at_once: int = 10


def answer(start_response) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [HELLO]


def application(case: str, key: str):
    """Make an application that does one thing with its session."""

    def untouched(environ, start_response):
        return answer(start_response)

    def new(environ, start_response):
        session = environ[key]
        session["user"] = VALUE
        session.save()
        return answer(start_response)

    def read(environ, start_response):
        assert environ[key]["user"]["visits"] == 12
        return answer(start_response)

    def write(environ, start_response):
        session = environ[key]
        assert session["user"]["visits"] == 12
        session["seen"] = "yes" if session.get("seen") == "no" else "no"
        session.save()
        return answer(start_response)

    return dict(zip(CASES, (untouched, new, read, write), strict=True))[case]


def cookie_from(app) -> str:
    """Have a session made, and give the cookie by which it is found again."""
    got: list[str] = []

    def respond(status, headers, exc_info=None):
        got.extend(held for name, held in headers if name.lower() == "set-cookie")

    for _ in app(environ_of(), respond):
        pass
    return got[-1].partition(";")[0]


def subject(library: str, store: str, case: str, wrap, key: str) -> Subject:
    wrapped = wrap(application(case, key))
    sent = {}
    if case in ("read", "read and write"):
        cookie = cookie_from(wrap(application("new", key)))
        sent["HTTP_COOKIE"] = f"theme=dark; {cookie}"
    environ = environ_of(**sent)
    return Subject(library, store, case, requests_to(wrapped, environ, len(HELLO)))


def ours(options: dict[str, object]):
    # One set of options for all: they share the store.
    first = SessionMiddleware(answer, options)
    return lambda app: SessionMiddleware(app, first.sessions)


def beakers(options: dict[str, object]):
    safe = {"session.httponly": True, "session.secure": True, "session.timeout": 3600}
    given = {"session.data_serializer": "json", **safe, **options}
    return lambda app: BeakerMiddleware(app, given)


def subjects(folder: Path, url: str) -> list[Subject]:
    stores = {
        "memory": ({"store": "memory://"}, {"session.type": "memory"}),
        "file": (
            {"store": f"file://{folder}/ours"},
            {"session.type": "file", "session.data_dir": f"{folder}/beaker"},
        ),
        "redis": (
            {"store": url},
            {"session.type": "ext:redis", "session.url": url},
        ),
        "cookie": (
            {"store": "cookie", "secret": SECRET},
            {
                "session.type": "cookie",
                "session.encrypt_key": SECRET,
                "session.validate_key": SECRET,
            },
        ),
    }
    measured = [Subject("none", "", "bare", bare())]
    for store, (our_options, their_options) in stores.items():
        wrap, theirs = ours(our_options), beakers(their_options)
        for case in CASES:
            measured += [
                subject("holdover", store, case, wrap, "holdover.session"),
                subject("beaker", store, case, theirs, "beaker.session"),
            ]
    return measured


def bare() -> Callable[[], object]:
    return requests_to(application("untouched", ""), environ_of(), len(HELLO))


def table(measured: list[Subject]) -> list[dict[str, object]]:
    by_name = {(one.library, one.store, one.case): one for one in measured}
    base = by_name["none", "", "bare"]
    rows: list[dict[str, object]] = []
    for (library, store, case), one in by_name.items():
        if library != "holdover":
            continue
        peer = by_name["beaker", store, case]
        rows.append(
            {
                "store": store,
                "case": case,
                "holdover_us": round(one.best - base.best, 2),
                "beaker_us": round(peer.best - base.best, 2),
                "holdover_median_us": round(one.median - base.median, 2),
                "beaker_median_us": round(peer.median - base.median, 2),
                "of_beaker": round((one.best - base.best) / (peer.best - base.best), 3),
            }
        )
    return rows


def is_too_much(row: dict[str, object]) -> bool:
    limit = FILE_LIMIT if row["store"] == "file" and row["case"] != "untouched" else 1
    return row["of_beaker"] > limit


def show(rows: list[dict[str, object]]) -> None:
    head = ("store", "case", "ours", "median", "Beaker's", "median", "of Beaker's")
    print("{:8} {:15} {:>8} {:>8} {:>9} {:>8} {:>12}".format(*head))
    for row in rows:
        print(
            f"{row['store']:8} {row['case']:15} {row['holdover_us']:>8} "
            f"{row['holdover_median_us']:>8} {row['beaker_us']:>9} "
            f"{row['beaker_median_us']:>8} {row['of_beaker']:>12}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RedisServer(folder) as server:
        measured = subjects(Path(folder), server.url)
        measure(measured, options.rounds, SLICE)
    rows = table(measured)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}))
    else:
        show(rows)
    return 1 if any(map(is_too_much, rows)) else 0


if __name__ == "__main__":
    sys.exit(main())
