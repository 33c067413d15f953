"""The bill of what the extras pull in names all of it, with a licence."""

import re

import bill
import pytest
from packaging.requirements import Requirement

EXTRAS = bill.declared()


def sections():
    """The page's sections by their titles, each as rows of cells."""
    _, *parted = re.split(r"^(.+)\n-+\n\n", bill.PAGE.read_text(), flags=re.MULTILINE)
    return {
        title.strip("`"): [re.split(r"  +", line) for line in text.splitlines()]
        for title, text in zip(parted[::2], parted[1::2], strict=True)
    }


def test_every_extra_has_a_section():
    """In the order of pyproject.toml, and what is always there comes first."""
    assert list(sections())[:-1] == ["Always", *[name for name in EXTRAS if name]]


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_requirement_is_there_with_a_licence(extra):
    """What an extra names itself stands in its section, as pyproject.toml has it."""
    others, ours = bill.parted(EXTRAS[extra])
    rows = sections()[extra or "Always"]
    told = {row[0]: row[1:] for row in rows if len(row) == len(bill.COLUMNS)}
    for one in others:
        required, by, licence, version = told[one.name]
        assert bill.required_by(one) == required
        assert by == (f"[{extra}]" if extra else "holdover")
        assert licence.strip("-")
        assert version
    text = " ".join(cell for row in rows for cell in row)
    assert [name for name in ours if f"``{name}``" not in text] == []
    assert others or ours


@pytest.mark.parametrize(
    ("told", "classifiers", "licence"),
    [
        ({"License-Expression": "MIT", "License": "see there"}, [], "MIT"),
        ({"License-Expression": "A AND " * 20 + "B"}, [], "A AND " * 20 + "B"),
        ({"License": "BSD"}, ["License :: OSI Approved :: BSD License"], "BSD"),
        ({"License": "3-clause BSD <https://example.org>"}, [], "3-clause BSD"),
        ({"License": "Permission is hereby granted " * 9}, ["License :: X"], ""),
        (
            {"License": "Dual License"},
            ["License :: OSI Approved :: A", "License :: OSI Approved :: B"],
            "A, B",
        ),
        ({}, [], ""),
    ],
)
def test_the_most_exact_word_for_a_licence(told, classifiers, licence):
    """An SPDX expression; else a name; else what the classifiers say; never a text."""
    assert bill.licence_in(told, classifiers) == licence


@pytest.mark.parametrize(
    ("requirement", "extras", "wanted", "shown"),
    [
        ("a>=1,<2", (), True, ">=1,<2"),
        ("a", (), True, "any"),
        ("a; python_version >= '3.11'", (), True, "any"),
        ("a; python_version < '3.11'", (), False, "any; python_version < '3.11'"),
        ("a; python_version < '3.13'", (), True, "any; python_version < '3.13'"),
        ("a; sys_platform == 'win32'", (), False, "any; sys_platform == 'win32'"),
        ("a>=3; extra == 'more'", (), False, ">=3; extra == 'more'"),
        ("a>=3; extra == 'more'", ("more",), True, ">=3"),
    ],
)
def test_where_it_is_wanted(requirement, extras, wanted, shown):
    """Only what some supported place needs is on the bill, and where, if not in all."""
    read = Requirement(requirement)
    assert bill.is_wanted(read, extras) is wanted
    assert bill.required_by(read, extras) == shown


def test_what_nobody_names_a_licence_of():
    """The script stops, rather than leave an empty cell."""
    with pytest.raises(SystemExit, match="nobody says"):
        bill.row_of(Requirement("holdover-no-such-thing"), "test")
