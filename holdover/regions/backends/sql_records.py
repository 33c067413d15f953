"""What `holdover.sql` keeps in its columns: names of rows, and region clocks."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from holdover.regions.backends.grants import LeaseKind
from holdover.regions.encoding import to_bytes, to_text
from holdover.regions.ticks import DAMAGE, ClockState

MOST_ROWS = 512  # in one statement, which locks them until it has ended
_VALUE, _CLOCK, _LONG = b"=", b"@", b"#"  # what the names of rows begin with
_LONGEST_NAME = 200  # bytes; every database can index a name of that length
_LONGEST_TTL = 1e12  # seconds; more is as good as endless

KIND_NUMBERS = {LeaseKind.HELD: 1, LeaseKind.QUEUED: 2, LeaseKind.BACKING_OFF: 3}
KINDS = {number: kind for kind, number in KIND_NUMBERS.items()}


def value_id(key: str) -> bytes:
    """Name the row of a key."""
    return _named(_VALUE, key)


def is_value(row: bytes) -> bool:
    """Say whether a row is that of a key, and not of a clock."""
    return row.startswith((_VALUE, _LONG + _VALUE))


def key_of(row: bytes) -> str | None:
    """Give the key whose row this is; None if it was too long to be a name."""
    if not row.startswith(_VALUE):
        return None
    return to_text(row.removeprefix(_VALUE))


def clock_id(region: str) -> bytes:
    """Name the row of a region's clock."""
    return _named(_CLOCK, region)


def _named(kind: bytes, text: str) -> bytes:
    raw = to_bytes(text)
    if len(raw) <= _LONGEST_NAME:
        return kind + raw
    return _LONG + kind + hashlib.blake2b(raw, digest_size=32).digest()


def span(ttl: float | None) -> float | None:
    """Give a ttl (seconds) for the database to add to its time; None is endless."""
    return None if ttl is None or not ttl < _LONGEST_TTL else float(ttl)


def sound_value(found: Any) -> bytes | None:
    """Give what a column of bytes should hold; SQLite's hold anything."""
    return bytes(found) if isinstance(found, bytes | bytearray | memoryview) else None


# -- region clocks -------------------------------------------------------------


def clock_record(state: ClockState) -> bytes:
    """Write down what a clock has besides its tick."""
    floors = (state.hard_floor, state.soft_floor)
    return json.dumps([*floors, state.listed()]).encode()


def clock_state(tick: Any, record: Any) -> ClockState | None:
    """Read a clock; None if it is damaged."""
    text = sound_value(record)
    if text is None:
        return None
    try:
        *floors, listed = json.loads(text)
        return ClockState.read((tick, *floors), listed)
    except DAMAGE:
        return None
