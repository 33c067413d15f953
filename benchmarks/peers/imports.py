"""What an import costs: each in a new interpreter, in shuffled order."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

import holdover
from peers.catalogue import FLOOR
from peers.record import Figure, Key
from peers.timing import Round

OURS = "from holdover import make_region"
DOGPILES = "from dogpile.cache import make_region"
STATEMENTS = {
    FLOOR: "pass",
    **{
        statement: statement
        for statement in (
            OURS,
            "import holdover",
            DOGPILES,
            "import beaker.cache",
            "import cashews",
            "import aiocache",
            "import django.core.cache",
            "import diskcache",
            "import cachetools",
            "import cachelib",
        )
    },
}
COLUMNS = ("CPU ms", "wall ms", "resident MB", "modules")

# Nothing is imported to measure that an import might want to import.
_PROBE = """
import sys, time
sys.path[:0] = {folders!r}
before, wall, cpu = len(sys.modules), time.perf_counter(), time.process_time()
{statement}
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
modules = len(sys.modules) - before
import os
with open("/proc/self/statm") as file:
    resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
print(cpu * 1e3, wall * 1e3, resident / 1e6, modules)
"""


def figures_of_imports(rounds: int) -> dict[Key, Figure]:
    """Measure all imports; give a figure for each column."""
    found: dict[str, list[Sequence[float]]] = {name: [] for name in STATEMENTS}
    for statement in STATEMENTS.values():
        imported(statement)  # writes its bytecode
    for _ in range(rounds):
        for name in random.sample(list(STATEMENTS), len(STATEMENTS)):
            found[name].append(imported(STATEMENTS[name]))
    return {
        Key("import", column, name): Figure.of(
            [Round(row[number], row[number]) for row in rows]
        )
        for number, column in enumerate(COLUMNS)
        for name, rows in found.items()
    }


def imported(statement: str) -> list[float]:
    """Run a statement in a new interpreter; give the columns.

    Without ``site``, whose hooks for editable installations import a lot beforehand.
    """
    folders = [str(Path(holdover.__file__).parents[1]), sysconfig.get_path("purelib")]
    probe = _PROBE.format(folders=folders, statement=statement)
    told = dict(os.environ)
    told.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-S", "-c", probe],
            stdout=subprocess.PIPE,
            check=True,
            cwd=empty,
            env=told,
            timeout=60,
        )
    return [float(one) for one in done.stdout.split()]
