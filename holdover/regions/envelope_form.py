"""How an envelope says that it was made: for who looks into a store, and trusts it."""

from __future__ import annotations

from holdover.regions.envelope import COMPRESSED, MAGIC, SIGNED, TRAILER, TRAILER_SIZE
from holdover.regions.values import frozen


@frozen
class Form:
    """How an envelope says that it was made.

    Attributes:
        codec: The tag of its codec.
        signed: Whether it carries a signature, which need not be a good one.
        compressed: Whether its payload is compressed.
    """

    codec: str
    signed: bool
    compressed: bool


def form_of(stored: bytes) -> Form | None:
    """Tell how an envelope was made, trusting it; None if it is none."""
    if len(stored) < TRAILER_SIZE or stored[-len(MAGIC) :] != MAGIC:
        return None
    *_, flags, tag, _, _ = TRAILER.unpack_from(stored, len(stored) - TRAILER_SIZE)
    codec = tag.rstrip(b"\0").decode("ascii", "backslashreplace")
    return Form(codec, bool(flags & SIGNED), bool(flags & COMPRESSED))
