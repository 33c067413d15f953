"""Write ``docs/contract.rst`` from a run of the contract's tests.

First run them all, then this with the environment's Python::

    pytest tests/test_backends.py tests/test_backends_in_trouble.py \
        tests/test_keyed_backend.py --junitxml=run.xml
    python tools/contract_matrix.py run.xml

Of several files, what a later one says of a test holds.

A cell says how many tests have proved a promise; a dash, that there is nothing to prove
or no way to bring it about. The script refuses to write of a run in which one failed.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from capability_table import drawn

PAGE = Path(__file__).parent.parent / "docs" / "contract.rst"
PROBLEMS = ("failure", "error", "skipped")

# By the beginning of a test class's name; the first that fits.
BACKENDS = {
    "memory": ("TestMemory",),
    "file": ("TestFile",),
    "dbm": ("TestDbm",),
    "redis": ("TestRedisBackend", "TestRedisInTrouble"),
    "Sentinel": ("TestRedisSentinel", "TestSentinel"),
    "Cluster": ("TestRedisCluster", "TestCluster"),
    "valkey": ("TestValkey",),
    "memcached": ("TestMemcached", "TestSeveralMemcached"),
    "SQLite": ("TestSqlite", "TestSqlBackendOnSQLite", "TestSqlBackendWithFew"),
    "PostgreSQL": (
        "TestPostgres",
        "TestSqlBackendOnPost",
        "TestSqlBackendWithAn",
        "TestSqlBackendThat",
    ),
    "MariaDB": ("TestMaria", "TestSqlBackendOnMaria"),
    "KeyedBackend": ("TestKeyedBackend",),
}

# By a part of a test's name; the first that fits.
PROMISES = {
    "bytes come back as they were, up to 5 MB": "bytes_come_back",
    "any text is a key": "any_text_is_a_key",
    "what is past its ttl is purged": "purge",
    "eight processes: one swaps": "one_swaps",
    "eight processes: one leases, adopts, releases, commits": "processes_one_leases",
    "eight processes: no commit past a removal or write": "nobody_commits",
    "eight processes: no invalidation is lost": "no_invalidation_is_lost",
    "eight processes: released is released": "bring_back",
    "a lease is adopted by another process": "adopted_by_another",
    "nothing old after a restart": "after_a_restart",
    "nothing old after eviction": "after_an_evict",
    "bounded and right while it is down": "while_it_is_down",
    "bounded and right while it is hung": "while_it_is_hung",
    "bounded and right while it is full": "while_it_is_full",
    "bounded and right while it is read-only": "while_it_is_readonly",
    "several at once": "several",
    "the fence: no late commit": "commit",
    "compare and set": "swap",
    "leases, pauses, adoption": "lease|pause|renew|adopt|acquire|leased|keeps_a_key"
    "|ask_one|creator",
    "the region clock": "clock|invalidation|mark|tick",
    "reading, writing, removing": "",
}

HEAD = """\
The contract
============

How many tests have proved each promise of ``holdover.testing.BackendContract`` on each
backend, in real servers and files (in memory, eight threads race). A dash: it cannot
happen to that store, or a test cannot bring it about. (A full disk ends PostgreSQL and
MariaDB, which then are down; who has a SQLite file open goes on, whatever becomes of
its name and its rights. ``KeyedBackend`` is tried over a cache of Django's; there,
what was written just as a commit came too late may be gone with it.)

``tools/contract_matrix.py`` writes this page from a run; ``tests/test_docs.py`` sees to
it that no promise and no backend is missing.

"""


def first_fitting(name: str, patterns: Iterable[tuple[str, str]]) -> str:
    """Give the first title whose pattern is found in *name*."""
    return next((title for title, one in patterns if re.search(one, name)), "")


def backend_of(class_name: str) -> str:
    """Tell which backend a class of tests is about; empty if none."""
    patterns = ((title, f"^({'|'.join(one)})") for title, one in BACKENDS.items())
    return first_fitting(class_name, patterns)


def results(runs: Iterable[str]) -> dict[tuple[str, str], bool]:
    """Say of each test, by class and name, whether it passed the last time."""
    return {
        (case.get("classname", "").rpartition(".")[2], case.get("name", "")): not any(
            case.find(problem) is not None for problem in PROBLEMS
        )
        for run in runs
        for case in ET.parse(run).iter("testcase")  # noqa: S314 - our own run
    }


def proved(runs: Iterable[str]) -> Counter[tuple[str, str]]:
    """Count the tests of some runs by promise and backend.

    Raises:
        SystemExit: One of them did not pass.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for (class_name, name), has_passed in results(runs).items():
        if not has_passed:
            raise SystemExit(f"{class_name}::{name} has failed")
        backend = backend_of(class_name)
        if backend:
            counts[first_fitting(name, PROMISES.items()), backend] += 1
    return counts


def page(counts: Counter[tuple[str, str]]) -> str:
    """Write the page."""
    rows = [("Promise", *BACKENDS)]
    for promise in PROMISES:
        cells = (str(counts[promise, backend] or "-") for backend in BACKENDS)
        rows.append((promise, *cells))
    return HEAD + drawn(rows)


if __name__ == "__main__":
    PAGE.write_text(page(proved(sys.argv[1:])))
