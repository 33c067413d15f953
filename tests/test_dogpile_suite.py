"""dogpile.cache's own tests, unmodified, hold for the preset."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

HERE = Path(__file__).parent
SUITE = HERE.parent / ".dogpile-suite" / version("dogpile.cache")
OURS = ("-p", "dogpile_ours")
PARALLEL = ("-p", "dogpile_parallel", "--dist", "worksteal")


def run_pytest(folder, *options):
    """Run pytest on the suite; give what it printed."""
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:timeout"]
    done = subprocess.run(
        [*command, *options],
        check=False,  # a report says more
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def run_tests(folder, *options, parallel=PARALLEL):
    """Run tests of a suite in parallel; give the outcome of each by its name."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    said = run_pytest(folder, f"--junit-xml={report}", *parallel, *options)
    assert report.exists(), said[-3000:]
    return outcomes(report)


def outcomes(report):
    """Read a JUnit report: passed, skipped, failure or error, by test."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        *modules, test_class = case.get("classname").split(".")
        test = f"{'/'.join(modules)}.py::{test_class}::{case.get('name')}"
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[test] = min(kinds, default="passed")
    return found


def those(outcome, found):
    """Give the names of the tests that ended so."""
    return {test for test, one in found.items() if one == outcome}


@pytest.mark.dropin
@pytest.mark.timeout(900)
def test_what_holds_for_dogpile_cache_holds_for_the_preset(tmp_path):
    """All its tests pass but those that it skips for itself, and none is missing."""
    assert SUITE.is_dir(), f"there is no {SUITE}: make test-setup fetches it"
    folder = tmp_path / "suite"
    shutil.copytree(SUITE, folder)
    ours = run_tests(folder, "-n", "12", *OURS)
    if len(ours) > len(those("passed", ours) | those("skipped", ours)):
        # They go by the real clock, so that a busy machine can fail one: once more,
        # with nothing beside it.
        ours |= run_tests(folder, "-n", "1", "--lf", *OURS)

    all_of_them = set(run_pytest(folder, "--collect-only", "-qq").split())
    assert all_of_them & ours.keys() == ours.keys()
    assert len(ours) == sum("::" in line for line in all_of_them)
    skipped = those("skipped", ours)
    assert those("passed", ours) == ours.keys() - skipped
    if skipped:  # without a name, it would run all of them
        its_own = run_tests(folder, "-n", "1", *sorted(skipped))
        assert those("skipped", its_own) == skipped


# Where a backend of ours is to differ: it refuses options that it does not know, and
# what it stores is an envelope, not the serializer's bytes alone.
DIFFERENT = {"test_argument_dictionary_unmodified", "test_uses_serializer"}


@pytest.mark.dropin
@pytest.mark.timeout(600)
def test_its_tests_for_backends_hold_on_ours(tmp_path):
    """What it asks of a region on any backend holds on those of Holdover."""
    folder = tmp_path / "suite"
    shutil.copytree(SUITE, folder)
    copy = folder / "tests" / "cache" / "test_on_ours.py"
    shutil.copy(HERE / "dogpile_on_ours.py", copy)
    found = run_tests(folder, "-n", "6", *OURS, str(copy))
    failed = found.keys() - those("passed", found)
    assert {test.rpartition("::")[2] for test in failed} == DIFFERENT
    assert len(found) - len(failed) >= 71
