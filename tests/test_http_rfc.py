"""The documentation tells which requirement of which RFC is kept, and tests show it."""

import ast
from collections import Counter
from pathlib import Path

import http_conformance

TESTS = Path(__file__).parent


def test_the_page_is_what_the_tests_show():
    """The page shows what the script makes of the tests' own words."""
    text = http_conformance.PAGE.read_text()
    assert text == http_conformance.rewritten(text), "run tools/http_conformance.py"


def test_each_requirement_stands_above_a_test_or_gives_a_reason():
    """No function that pytest does not run claims to show something."""
    shown = []
    for path in sorted(TESTS.glob("test_http_rfc_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                claims = [one for one in map(_claim, node.decorator_list) if one]
                assert not claims or node.name.startswith("test_"), node.name
                shown += claims
    all_of_them = http_conformance.requirements()
    claimed = [(one.where, one.text) for one in all_of_them if one.result == "kept"]
    assert Counter(claimed) == Counter(shown)
    levels = {"must", "must not", "should", "should not", "-"}
    assert {one.level for one in all_of_them} == levels


def _claim(decorator):
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Name):
        return None
    if decorator.func.id != "requires":
        return None
    where, _, text = (argument.value for argument in decorator.args)
    return where, text
