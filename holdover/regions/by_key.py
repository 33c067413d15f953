"""Values that callers ask for by their keys, at hand as those of functions are.

Keys are many, and most are asked for once in a while: only what is asked for again soon
is worth being had at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent
from typing import Any, NamedTuple

from holdover.regions.at_hand import LONGEST, STEPS, Gate, Seen, Wish, uses_of
from holdover.regions.familiar import Read

_MOST_ASKED = 4096  # keys that are remembered to have been asked for


class NotAtHand(NamedTuple):
    """That there is more to do.

    Attributes:
        read: What was read on the way; None if nothing was.
    """

    read: Read | None


NOT_AT_HAND = NotAtHand(None)

_SOURCE = f"""\
def by_key_look(by_key_arguments):
    by_key_read = None
{indent(STEPS.format(own="by_key"), " " * 4)}
    return by_key_missed if by_key_read is None else by_key_had(by_key_read)
"""
_CODE = compile(_SOURCE, "<a value by key>", "exec")


class ByKey:
    """What one region has found fresh, by the keys that it was asked for.

    Args:
        gate: The region's.

    Attributes:
        look: Gives the fresh value for a key (a plain ``str``) that is at hand, in 0.3
            us in place of 1.9, and counts the hit; else a `NotAtHand`.
    """

    __slots__ = ("_asked", "_seen", "look")

    def __init__(self, gate: Gate) -> None:
        self._asked: set[str] = set()
        self._seen = Seen(gate)
        uses = {**uses_of(self._seen), "missed": NOT_AT_HAND, "had": NotAtHand}
        namespace: dict[str, Any] = {f"by_key_{name}": uses[name] for name in uses}
        exec(_CODE, namespace)  # noqa: S102 - the source above
        self.look: Callable[[str], Any] = namespace["by_key_look"]

    def wish(self, key: str, missed: NotAtHand) -> Wish | None:
        """Give how to have *key* at hand the next time; None if it is not worth it."""
        is_worth_it = missed.read is not None or self._is_asked_again(key)
        return Wish(self._seen, key, missed.read) if is_worth_it else None

    def _is_asked_again(self, key: str) -> bool:
        if key in self._asked:
            return True
        if len(key) <= LONGEST:
            if len(self._asked) >= _MOST_ASKED:
                self._asked.clear()
            self._asked.add(key)
        return False
