"""What hits cost: ours, our peers' and the least, side by side.

    python benchmarks/side_by_side.py [--rounds 21] [--json] [--only redis]
                                      [--check | --redraw]

Every subject is a process of its own, so that one library's imports, garbage and
threads do not touch another's. Those that do the same on the same store are measured
against each other: in each round each of them works for 20 ms, in shuffled order, while
the others wait. Read the ratios of "best", the fastest millisecond of all; "median" and
"IQR" are of whole rounds, and tell how busy the machine was.

It writes the tables and plots of ``docs/performance.rst`` and the baseline, all from
the same figures, unless it has measured only a part, or in fewer rounds. With
``--check`` it writes nothing and compares with the baseline: it fails if a ratio has
become worse by more than noise explains (``peers/check.py`` says how that is found), or
if a limit is missed that the baseline has met, and is so again in new processes.
``--redraw`` measures nothing, and draws the baseline again.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec

from peers import page, tables
from peers.catalogue import GROUPS, subjects_of
from peers.check import Group, excused, failures, settled
from peers.conductor import store, times_of
from peers.imports import figures_of_imports
from peers.limits import LIMITS
from peers.pipes import ChildFailed
from peers.record import Figure, Key, Record

ROUNDS = 21
IMPORTS = ("import", "CPU ms")
LIBRARIES = (
    "dogpile.cache",
    "Beaker",
    "django-cacheback",
    "Django",
    "django-redis",
    "cashews",
    "aiocache",
    "diskcache",
    "cachetools",
    "cachelib",
    "redis",
    "pymemcache",
    *(["pylibmc"] if find_spec("pylibmc") else []),  # later Pythons have no wheel
    "python-binary-memcached",
    "SQLAlchemy",
    "psycopg",
    "PyMySQL",
)


def wanted(only: str) -> list[Group]:
    """Give the groups that are to be measured, by case and store."""
    chosen = [group for group in GROUPS if any(only in name for name in group)]
    return [*chosen, IMPORTS] if only in IMPORTS[0] else chosen


def measured(rounds: int, groups: Iterable[Group]) -> Record:
    """Measure all that is wanted, one group after the other."""
    figures: dict[Key, Figure] = {}
    load, servers = [os.getloadavg()[0]], set()
    for case, name in groups:
        print(f"{case}, {name} ...", file=sys.stderr, flush=True)
        if (case, name) == IMPORTS:
            figures |= figures_of_imports(rounds)
            continue
        with store(name) as place:
            servers.add(place.server)
            times = times_of(subjects_of(case, name), place, rounds)
        for subject, held in times.items():
            figures[Key(case, name, subject.name)] = Figure.of(held)
    load.append(os.getloadavg()[0])
    return Record(facts(rounds, sorted(servers - {""}), load), figures)


def facts(rounds: int, servers: list[str], load: list[float]) -> dict[str, object]:
    """Say when and with what."""
    return {
        "command": "make bench",
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "rounds": rounds,
        "cores": os.cpu_count(),
        "load": [round(one, 1) for one in load],
        "versions": [
            f"CPython {platform.python_version()}",
            *(f"{name} {version(name)}" for name in LIBRARIES),
            *servers,
        ],
    }


def show(record: Record) -> None:
    for title, table in tables.of_all(record):
        print(f"\n{title}\n\n{table}", end="")
    if any(limit.is_in(record) for limit in LIMITS):
        print(f"\nLimits\n\n{tables.of_limits(record)}")


def checked(record: Record, rounds: int) -> int:
    """Compare with the baseline, say what is worse, and give the exit code."""
    baseline = page.baseline()
    record = settled(record, baseline, lambda groups: measured(rounds, sorted(groups)))
    wrong = failures(record, baseline)
    for one in excused(record, baseline):
        print(f"not met: {one}", file=sys.stderr)
    for one in wrong or ["nothing is worse than in the baseline"]:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", default="", help="a case or store, or a part of one")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare, write nothing")
    what.add_argument("--redraw", action="store_true", help="measure nothing")
    return parser.parse_args(arguments)


def main() -> int:
    options = options_of()
    if options.redraw:
        page.write(page.baseline())
        return 0
    try:
        record = measured(options.rounds, wanted(options.only))
    except ChildFailed as error:
        print(error, file=sys.stderr)
        return 2
    if not record.figures:
        print(f"nothing that is measured is called {options.only}", file=sys.stderr)
        return 2
    if options.json:
        print(record.to_json(), end="")
    else:
        show(record)
    if options.check:
        return checked(record, options.rounds)
    if options.rounds >= ROUNDS and not options.only:
        page.write(record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
