"""Values that dogpile.cache wrote, as a region may find them in a shared store.

Its format is ``{"ct": created, "v": 2}|payload``. Whoever reads it unpickles what
everybody who can write to the store may have put there, so that only a region does
which would do so anyway.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

from dogpile.cache.region import value_version

from holdover.regions.clocks import RegionClock
from holdover.regions.codecs import Codec, FunctionCodec, PickleCodec
from holdover.regions.decoding import Unreadable, decoded
from holdover.regions.envelope import Entry
from holdover.regions.sealing import Sealing
from holdover.regions.values import frozen

_LONGEST_METADATA = 200  # bytes; dogpile.cache writes about 40
_UNGUARDED = (PickleCodec, FunctionCodec)


def reading_foreign(sealing: Sealing, clock: RegionClock) -> Sealing:
    """Give what also opens dogpile.cache's format, if the region may read it.

    It may not, unless the codec is the bare pickle or the user's own pair of functions,
    and nothing is signed: a region that keeps no pickles must not be talked round.
    """
    if type(sealing.codec) not in _UNGUARDED or sealing.signer is not None:
        return sealing
    return _ReadingForeign(
        sealing.codec, sealing.signer, sealing.compression, clock=clock
    )


@frozen(kw_only=True)
class _ReadingForeign(Sealing):
    """Seals as ever, and opens dogpile.cache's format, too."""

    clock: RegionClock

    def open(self, raw: bytes | Entry, key: str) -> Entry:
        """Read an envelope, or what dogpile.cache stored."""
        try:
            return Sealing.open(self, raw, key)
        except Unreadable:
            if isinstance(raw, Entry):
                raise
            entry = open_foreign(raw, self.codec)
        return replace(entry, clock=self.clock.tick_at(entry.created_at))


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
    return Entry(decoded(codec, memoryview(raw)[end + 1 :]), created_at)


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
