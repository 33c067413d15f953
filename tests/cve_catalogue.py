"""What went wrong in other caches, and the tests that show that it does not here.

A replay does two things in this order: it lets the attack succeed against a few lines
that make the same mistake, and then shows what comes of it in Holdover. Without the
first half nobody knew whether the second one can fail.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Replay:
    """One mistake that somebody's cache has made.

    Attributes:
        numbers: Under which it is known.
        where: Whose it was.
        fault: What went wrong there.
        ours: What Holdover does.
        test: The test that shows both, as pytest is told of it.
    """

    numbers: tuple[str, ...]
    where: str
    fault: str
    ours: str
    test: str


REPLAYS: list[Replay] = []


def replay(*numbers, where, fault, ours):
    """Say what went wrong elsewhere, above the test that replays it."""

    def note(test):
        name = f"{test.__module__}.py::{test.__qualname__.replace('.', '::')}"
        REPLAYS.append(Replay(numbers, where, fault, ours, name))
        return test

    return note
