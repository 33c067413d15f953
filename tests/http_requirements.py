"""What the texts require of a shared cache, and which tests show it.

A requirement stands above the test that shows that it is kept. What is kept by others,
or not kept for a reason, is said by itself.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """One sentence of a text, in our own words.

    Attributes:
        where: The RFC and the section, such as ``9111 4.2.1``.
        level: The keyword of RFC 2119, in lower case; ``-`` for what has none.
        text: What is required.
        result: ``kept``, or who keeps it, or why it is not.
    """

    where: str
    level: str
    text: str
    result: str = "kept"


REQUIREMENTS: list[Requirement] = []


def requires(where, level, text):
    """Say what is required, above the test that shows it."""
    REQUIREMENTS.append(Requirement(where, level, text))
    return lambda test: test


def left(where, level, text, *, result):
    """Say what is required of others, or not kept, and why."""
    REQUIREMENTS.append(Requirement(where, level, text, result))
