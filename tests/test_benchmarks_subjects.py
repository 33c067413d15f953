"""Who is measured can be built, is asked in turn, and ends with whoever asks."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import benchmark_tools  # noqa: F401 - tells where the next are
import pytest
from peers import keeper
from peers.catalogue import GROUPS, NOTES, TITLES, subjects_of
from peers.conductor import store, times_of
from peers.pipes import BENCHMARKS, Child, ChildFailed, search_path
from peers.subject import VALUES, Place, Subject
from waiting import wait_until

HOME = BENCHMARKS / "peers" / "subjects"
ALL = [subject for group in GROUPS for subject in subjects_of(*group)]


def functions_of(module):
    """The functions of a module, which need not be installed for that."""
    tree = ast.parse((HOME / f"{module}.py").read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def builders():
    """All functions that could build a subject."""
    modules = [path.stem for path in HOME.glob("*.py")]
    return {f"{one}:{function}" for one in modules for function in functions_of(one)}


@pytest.mark.parametrize("subject", ALL, ids=str)
def test_every_subject_has_a_builder(subject, builders):
    """A name that is measured is one that can be built, on a store that there is."""
    assert subject.builder in builders
    assert subject.case in VALUES
    assert subject.store in keeper.KEPT


def test_no_two_share_a_place():
    """Folders, tables and prefixes are each one's own."""
    for group in GROUPS:
        slugs = [subject.slug for subject in subjects_of(*group)]
        assert len(slugs) == len(set(slugs))


def test_every_store_has_a_title():
    """And every note is about somebody who is measured."""
    assert {name for _, name in GROUPS} == set(TITLES)
    assert set(NOTES) <= {(one.store, one.name) for one in ALL if one.case == "hit"}


def test_a_round(tmp_path):
    """Each subject is a process, which has its turn in each round."""
    subjects = [
        Subject("hit", "memory", "one", "floors:memory"),
        Subject("threads", "memory", "other", "floors:lru_cache"),
    ]
    times = times_of(subjects, Place(str(tmp_path)), rounds=2)
    assert list(times) == subjects
    assert all(len(held) == 2 and min(held).fastest > 0 for held in times.values())


def test_a_store_is_there_until_the_end():
    """Its folder is gone afterwards."""
    with store("file") as place:
        assert Path(place.folder).is_dir()
    assert not Path(place.folder).exists()


def test_who_cannot_be_built(tmp_path):
    """The error names the subject, and what its process met."""
    subject = Subject("hit", "memory", "nobody", "floors:nobody")
    with pytest.raises(ChildFailed, match=r"hit, memory: nobody: (?s:.)*nobody"):
        times_of([subject], Place(str(tmp_path)), rounds=1)


def test_who_gives_something_else(tmp_path):
    """A wrong value stops the measurement."""
    subject = Subject("hit", "memory", "all of them", "floors:many_memory")
    with pytest.raises(ChildFailed, match=r"all of them: (?s:.)*WrongValue: wanted"):
        times_of([subject], Place(str(tmp_path)), rounds=1)


def test_a_child_that_has_ended():
    """Nobody waits for its answer."""
    with (
        Child("peers.subject", "a module that says nothing") as child,
        pytest.raises(ChildFailed, match="says nothing: ended with 0"),
    ):
        child.ask({"seconds": 1})


def is_alive(pid):
    """Say whether a process is there, and no zombie."""
    status = Path("/proc", str(pid), "status")
    return status.exists() and "\nState:\tZ" not in status.read_text()


KILLED = """
import time
from peers.pipes import Child
child = Child("peers.keeper", "a keeper")
child.ask({"store": "file"})
print(child.pid, flush=True)
time.sleep(60)
"""


def test_children_end_with_a_parent_that_is_killed():
    """Their standard input ends, and that tells them."""
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": search_path()},
    )
    with parent:
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_alive(child))
