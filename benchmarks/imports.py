"""What it costs to import a cache, and to have one region of it: ours and its peers'.

    python benchmarks/imports.py [--rounds 15] [--json]

Each round starts one fresh interpreter per subject, in shuffled order, so that a change
in the machine's speed meets all of them alike. The processor's time and the memory are
those of the whole process, the interpreter included. It asks Linux for the latter
itself, since its parent's would count otherwise.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any

COUNTING = """
import sys
print(len(sys.modules))
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


@dataclass
class Subject:
    """What is imported, and what that took in each round.

    Attributes:
        name: What it is called.
        needs: The package that it needs.
        code: What a fresh interpreter runs.
        wall: Milliseconds by the clock.
        cpu: Milliseconds of the processor.
        memory: Megabytes that were resident at most.
        modules: How many modules are loaded then.
    """

    name: str
    needs: str
    code: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    modules: int = 0


SUBJECTS = [
    Subject("Python alone", "sys", "pass"),
    Subject("import holdover", "holdover", "import holdover"),
    Subject("Holdover", "holdover", "from holdover import make_region"),
    Subject(
        "Holdover, configured",
        "holdover",
        "from holdover import make_region; "
        "make_region().configure('holdover.memory', 60)",
    ),
    Subject("dogpile.cache", "dogpile.cache", "from dogpile.cache import make_region"),
    Subject(
        "dogpile.cache, configured",
        "dogpile.cache",
        "from dogpile.cache import make_region; "
        "make_region().configure('dogpile.cache.memory', 60)",
    ),
    Subject("Beaker", "beaker", "from beaker.cache import CacheManager"),
    Subject("django.core.cache", "django", "from django.core.cache import caches"),
    Subject("redis-py", "redis", "import redis"),
]


def is_there(package: str) -> bool:
    """Say whether a package is installed."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package within one that is not
        return False


def run(subject: Subject) -> None:
    """Start one interpreter, and note what it took."""
    output, told = os.pipe()
    # With bytecode, as programs are installed; the first round writes it.
    surroundings = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    begun = time.perf_counter()
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", f"{subject.code}\n{COUNTING}"],
        surroundings,
        file_actions=[(os.POSIX_SPAWN_DUP2, told, 1)],
    )
    _, status, usage = os.wait4(child, 0)
    subject.wall.append((time.perf_counter() - begun) * 1e3)
    os.close(told)
    with os.fdopen(output) as counted:
        if status:
            raise SystemExit(f"{subject.name}: {subject.code!r} has failed")
        modules, kilobytes = counted
    subject.modules = int(modules)
    subject.memory.append(int(kilobytes) / 1024)
    subject.cpu.append((usage.ru_utime + usage.ru_stime) * 1e3)


def measure(subjects: list[Subject], rounds: int) -> None:
    """Run all subjects, once to warm up and then *rounds* times."""
    for one in subjects:
        run(one)
        for taken in (one.wall, one.cpu, one.memory):
            taken.clear()
    for _ in range(rounds):
        for one in random.sample(subjects, len(subjects)):
            run(one)


def row(subject: Subject) -> dict[str, Any]:
    """Give a subject's figures."""
    return {
        "subject": subject.name,
        "wall": round(statistics.median(subject.wall), 1),
        "cpu": round(statistics.median(subject.cpu), 1),
        "best": round(min(subject.cpu), 1),
        "memory": round(statistics.median(subject.memory), 1),
        "modules": subject.modules,
    }


def show(rows: list[dict[str, Any]]) -> None:
    """Print a table."""
    print(
        f"{'subject':26}{'wall ms':>9}{'CPU ms':>9}{'best':>9}{'MB':>7}{'modules':>9}"
    )
    for one in rows:
        print(
            f"{one['subject']:26}{one['wall']:9}{one['cpu']:9}{one['best']:9}"
            f"{one['memory']:7}{one['modules']:9}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    subjects = [one for one in SUBJECTS if is_there(one.needs)]
    measure(subjects, asked.rounds)
    rows = [row(one) for one in subjects]
    if asked.json:
        print(json.dumps(rows, indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    main()
