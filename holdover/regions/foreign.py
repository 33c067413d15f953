"""Values that dogpile.cache wrote, as a region may find them in a shared store.

Its format is ``{"ct": created, "v": 2}|payload``. Whoever reads it unpickles what
everybody who can write to the store may have put there, so that only a region does
which would do so anyway.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

from dogpile.cache.region import value_version

from holdover.regions.clocks import RegionClock
from holdover.regions.codecs import Codec, FunctionCodec, PickleCodec
from holdover.regions.envelope import Entry, Unreadable, open_sealed

_LONGEST_METADATA = 200  # bytes; dogpile.cache writes about 40
_UNGUARDED = (PickleCodec, FunctionCodec)


def opener_for(
    codec: Codec | None, clock: RegionClock
) -> Callable[[bytes, str, Codec], Entry]:
    """Give what opens stored bytes in a region that also reads dogpile.cache's format.

    It reads envelopes only, unless the codec is the bare pickle or the user's own pair
    of functions: a region that signs its values, or keeps no pickles, must not be
    talked round.
    """
    if type(codec) not in _UNGUARDED:
        return open_sealed

    def open_either(raw: bytes, key: str, codec: Codec) -> Entry:
        try:
            return open_sealed(raw, key, codec)
        except Unreadable:
            entry = open_foreign(raw, codec)
        return replace(entry, clock=clock.tick_at(entry.created_at))

    return open_either


def open_foreign(raw: bytes, codec: Codec) -> Entry:
    """Read a value that dogpile.cache stored.

    Returns:
        An entry without a fence, and without a clock of its own.

    Raises:
        Unreadable: These bytes are no such value, or their payload is damaged.
    """
    end = raw.find(b"|", 0, _LONGEST_METADATA)
    if end < 0:
        raise Unreadable("neither an envelope nor dogpile.cache's format")
    created_at = _created_at(raw[:end])
    try:
        value = codec.loads(memoryview(raw)[end + 1 :])
    except Exception as problem:  # decoders of hostile bytes raise anything
        raise Unreadable(f"undecodable: {problem!r}") from problem
    return Entry(value, created_at)


def _created_at(metadata: bytes) -> float:
    """Read the creation time (wall clock, seconds) from dogpile.cache's metadata."""
    try:
        known = json.loads(metadata)
        created_at, version = float(known["ct"]), known["v"]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as problem:
        raise Unreadable("neither an envelope nor dogpile.cache's format") from problem
    if version != value_version:
        raise Unreadable(f"written by another dogpile.cache, of version {version!r}")
    if not 0 <= created_at < math.inf:
        raise Unreadable(f"created at an impossible time, {created_at!r}")
    return created_at
