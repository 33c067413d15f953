"""Values decoded from bytes that anybody may have written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdover.regions.codecs import Codec

_LONGEST_REASON = 200  # characters; a UnicodeDecodeError shows all that it read


class Unreadable(Exception):
    """These bytes are not a value of this key that this region may read."""


def decoded(codec: Codec, payload: memoryview) -> Any:
    """Decode a value of which all else was found to be right.

    Raises:
        Unreadable: Its codec cannot.
    """
    try:
        return codec.loads(payload)
    except Exception as problem:  # what a class does while it is unpickled
        raise undecodable(problem) from problem


def undecodable(problem: Exception) -> Unreadable:
    """Say what a decoder raised."""
    return Unreadable(f"undecodable: {_shown(problem)}")


def _shown(problem: Exception) -> str:
    """Show what a decoder raised, which may be as hostile as what it decoded."""
    try:
        return repr(problem)[:_LONGEST_REASON]
    except Exception:  # noqa: BLE001 - its own code
        return type(problem).__name__
