"""Write ``docs/bill.rst``: what each extra pulls in, and under which licences.

Licences are what the installed distributions say of themselves, so run it with the
environment's Python; ``tests/test_bill.py`` says when an extra or a requirement is
missing from the page.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from textwrap import fill

from capability_table import drawn
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "bill.rst"
OURS = "holdover"
COLUMNS = ("Distribution", "Required", "By", "Licence", "As of")
DRIVERS = ("psycopg[binary]>=3.2", "pymysql", "pylibmc")  # those that are tested
_LONGEST = 40  # characters; what is longer is no name of a licence, but its text
_WIDTH = 90
_ADDRESS = re.compile(r"<\S+>")
_APPROVED = "License :: OSI Approved :: "

# Where Holdover runs; what only others need is not on the bill.
PLACES = [
    {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": platform,
        "platform_system": "Linux" if platform == "linux" else "Darwin",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    for version in ("3.11", "3.12", "3.13", "3.14")
    for platform in ("linux", "darwin")
]

# Of what some Pythons need and the one that runs this may not have.
SAID_ELSEWHERE = {
    "async-timeout": "Apache-2.0",
    "backports-zstd": "PSF-2.0",
    "legacy-cgi": "PSF-2.0",
    "typing-extensions": "PSF-2.0",
}

HEAD = """\
What each extra pulls in
========================

Holdover is under the MIT licence. This is what ``pip install "holdover[...]"`` installs
besides, on Linux and macOS with Python 3.11 to 3.14: what an extra names itself, and what
that needs, each distribution once. *Required* is which versions will do, *By* who says so
first, *As of* the version whose metadata name the licence; a dash is what only other
Pythons need than the one that wrote this page.

``tools/bill.py`` writes it from the metadata of installed distributions;
``tests/test_bill.py`` sees to it that no extra and no requirement is missing. Look again
at the versions that you install: what a library needs, and its licence, may change with
each of them.

"""  # noqa: E501 - the page's own lines

DRIVERS_HEAD = """\

Drivers and clients that no extra names
---------------------------------------

``holdover.sql`` needs a driver for PostgreSQL and MariaDB, and ``holdover.memcached`` can
use another client. They are yours to choose; these are the ones that are tested.

"""  # noqa: E501 - the same


@dataclass(frozen=True)
class Row:
    """One requirement of an extra's, its own or of what it needs.

    Attributes:
        name: The distribution.
        required: Which versions, and where.
        by: Who says so.
        licence: What it says of its licence.
        version: Whose metadata said it; a dash if it is not installed.
    """

    name: str
    required: str
    by: str
    licence: str
    version: str


def extras_of(project: Mapping[str, object]) -> dict[str, list[str]]:
    """Give what is required by a ``[project]`` table: without an extra, and by each."""
    optional = project["optional-dependencies"]
    return {"": project["dependencies"], **optional}  # type: ignore[dict-item]


def declared() -> dict[str, list[str]]:
    """Give the same of Holdover's own."""
    return extras_of(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def parted(requirements: Iterable[str]) -> tuple[list[Requirement], list[str]]:
    """Part what an extra requires: other distributions, and extras of our own."""
    read = [Requirement(one) for one in requirements]
    others = [one for one in read if canonicalize_name(one.name) != OURS]
    ours = {name for one in read if one not in others for name in one.extras}
    return others, sorted(ours)


def is_wanted(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Say whether it holds somewhere that Holdover runs, by one of *extras*."""
    return any(_holds(requirement, place, extras) for place in PLACES)


def _holds(
    requirement: Requirement, place: Mapping[str, str], extras: Iterable[str]
) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({**place, "extra": extra}) for extra in ("", *extras)
    )


def licence_in(told: Mapping[str, str], classifiers: Iterable[str]) -> str:
    """Choose the most exact word for a licence that metadata have; empty if none.

    Args:
        told: The fields ``License-Expression`` and ``License``.
        classifiers: What stands in ``Classifier``.
    """
    exact = told.get("License-Expression")
    if exact:
        return exact
    text = " ".join(_ADDRESS.sub("", told.get("License") or "").split())
    approved = [one for one in classifiers if one.startswith(_APPROVED)]
    if text and len(text) <= _LONGEST and len(approved) <= 1:
        return text  # of several licences it would say "dual"
    return ", ".join(one.removeprefix(_APPROVED) for one in approved)


def row_of(requirement: Requirement, by: str, extras: Iterable[str] = ()) -> Row:
    """Give the row of what *by* requires for *extras* of its own.

    Raises:
        SystemExit: Nobody says what its licence is.
    """
    name = requirement.name
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        licence, version = SAID_ELSEWHERE.get(canonicalize_name(name), ""), "-"
    else:
        fields = {field: told[field] for field in ("License-Expression", "License")}
        licence = licence_in(fields, told.get_all("Classifier") or [])
        version = told["Version"]
    if not licence:
        raise SystemExit(f"{name}, for {by}: nobody says what its licence is")
    return Row(name, required_by(requirement, extras), by, licence, version)


def required_by(requirement: Requirement, extras: Iterable[str] = ()) -> str:
    """Write down which versions of a distribution are required, and where."""
    wanted = ",".join(sorted(map(str, requirement.specifier), reverse=True)) or "any"
    if all(_holds(requirement, place, extras) for place in PLACES):
        return wanted
    return f"{wanted}; {requirement.marker}".replace('"', "'")


def rows_of(requirements: Iterable[Requirement], by: str) -> Iterator[Row]:
    """Give what is required, and then what that needs, each distribution once."""
    waiting: list[tuple[Requirement, str, set[str]]]
    waiting = [(one, by, set()) for one in requirements]
    seen = set()
    while waiting:
        requirement, who, extras = waiting.pop(0)
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        seen.add(name)
        yield row_of(requirement, who, extras)
        for needed in map(Requirement, _requires(name)):
            if is_wanted(needed, requirement.extras):
                waiting.append((needed, requirement.name, requirement.extras))


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def table_of(rows: Iterable[Row]) -> str:
    """Draw the table of an extra."""
    cells = [(row.name, row.required, row.by, row.licence, row.version) for row in rows]
    return drawn([COLUMNS, *cells])


def section(extra: str, requirements: Iterable[str]) -> str:
    """Write what one extra pulls in."""
    others, ours = parted(requirements)
    title = f"``{extra}``" if extra else "Always"
    parts = [f"{title}\n{'-' * len(title)}\n"]
    if ours:
        also = ", ".join(f"``{name}``" for name in ours)
        parts.append(fill(f"All that these pull in: {also}.", _WIDTH) + "\n")
    if others:
        by = f"[{extra}]" if extra else OURS
        parts.append(table_of(rows_of(others, by)))
    return "\n".join(parts)


def page() -> str:
    """Write the page."""
    sections = [section(*item) for item in declared().items()]
    drivers = map(Requirement, DRIVERS)
    return HEAD + "\n".join(sections) + DRIVERS_HEAD + table_of(rows_of(drivers, "you"))


if __name__ == "__main__":
    PAGE.write_text(page())
