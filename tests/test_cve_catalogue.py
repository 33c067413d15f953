"""The documentation tells which attacks are replayed, and each has its test."""

import ast
from pathlib import Path

import security_replays

TESTS = Path(__file__).parent

KNOWN = {
    "CVE-2011-4139",
    "CVE-2012-3458",
    "CVE-2013-7489",
    "CVE-2020-13254",
    "CVE-2020-24583",
    "CVE-2020-24584",
    "CVE-2021-23336",
    "CVE-2021-23727",
    "CVE-2021-33026",
    "CVE-2023-28858",
    "CVE-2023-28859",
    "CVE-2023-30861",
    "CVE-2025-69872",
    "CVE-2026-113593",
    "CVE-2026-27205",
    "CVE-2026-27794",
    "CVE-2026-35192",
    "CVE-2026-35193",
    "CVE-2026-48587",
    "CVE-2026-48588",
    "CVE-2026-6873",
    "CVE-2026-6907",
    "CVE-2026-77050",
    "CVE-2026-8404",
}


def test_the_page_is_what_the_tests_show():
    """The page shows what the script makes of the tests' own words."""
    text = security_replays.PAGE.read_text()
    assert text == security_replays.rewritten(text), "run tools/security_replays.py"


def test_all_that_concern_us_are_replayed():
    """None of them is lost, and each is told of once."""
    found = [number for one in security_replays.replays() for number in one.numbers]
    assert sorted(KNOWN) == sorted(found)


def test_each_stands_above_a_test():
    """No function that pytest does not run claims to show something."""
    shown = set()
    for path in TESTS.glob("test_cve_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any(
                map(_claims, node.decorator_list)
            ):
                assert node.name.startswith("test_"), node.name
                shown.add((path.name, node.name))
    told = [one.test.split("::") for one in security_replays.replays()]
    assert {(parts[0], parts[-1]) for parts in told} == shown
    assert len(told) == len(shown)


def _claims(decorator):
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "replay"
