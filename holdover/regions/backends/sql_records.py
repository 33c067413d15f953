"""What `holdover.sql` keeps in its columns: names of rows, and region clocks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from holdover.regions.backends.grants import LeaseKind, Stored
from holdover.regions.ticks import ClockState, Mark, Reach, Scope

T = TypeVar("T")

MOST_ROWS = 512  # in one statement, which locks them until it has ended
_MOST_BYTES = 1 << 20
_VALUE, _CLOCK, _LONG = b"=", b"@", b"#"  # what the names of rows begin with
_LONGEST_NAME = 200  # bytes; every database can index a name of that length
_LONGEST_REASON = 500  # bytes
_MOST_TICK = 1 << 62  # millennia ahead, and still with room in the column
_LONGEST_TTL = 1e12  # seconds; more is as good as endless

KIND_NUMBERS = {LeaseKind.HELD: 1, LeaseKind.QUEUED: 2, LeaseKind.BACKING_OFF: 3}
KINDS = {number: kind for kind, number in KIND_NUMBERS.items()}


def to_bytes(text: str) -> bytes:
    """Encode any text, lone surrogates too."""
    return text.encode("utf-8", "surrogatepass")


def value_id(key: str) -> bytes:
    """Name the row of a key."""
    raw = key.encode("utf-8", "surrogatepass")
    return _VALUE + raw if len(raw) <= _LONGEST_NAME else _digest(_VALUE, raw)


def is_value(row: bytes) -> bool:
    """Say whether a row is that of a key, and not of a clock."""
    return row.startswith((_VALUE, _LONG + _VALUE))


def key_of(row: bytes) -> str | None:
    """Give the key whose row this is; None if it was too long to be a name."""
    if not row.startswith(_VALUE):
        return None
    return row.removeprefix(_VALUE).decode("utf-8", "surrogatepass")


def clock_id(region: str) -> bytes:
    """Name the row of a region's clock."""
    raw = region.encode("utf-8", "surrogatepass")
    return _CLOCK + raw if len(raw) <= _LONGEST_NAME else _digest(_CLOCK, raw)


def _digest(kind: bytes, raw: bytes) -> bytes:
    return _LONG + kind + hashlib.blake2b(raw, digest_size=32).digest()


def span(ttl: float | None) -> float | None:
    """Give a ttl (seconds) for the database to add to its time; None is endless."""
    return None if ttl is None or not ttl < _LONGEST_TTL else float(ttl)


def reason_bytes(reason: str) -> bytes:
    """Give the reason of a pause as it is kept."""
    return reason.encode("utf-8", "replace")[:_LONGEST_REASON]


def weight(stored: Stored) -> int:
    """Give the size of what is to be sent; what is no bytes is refused elsewhere."""
    return len(stored) if isinstance(stored, bytes) else 0


def sound_value(found: Any) -> bytes | None:
    """Give what a column of bytes should hold; SQLite's hold anything."""
    return bytes(found) if isinstance(found, bytes | bytearray | memoryview) else None


def sound_tick(found: Any) -> int | None:
    """Give what a clock's row should hold as its tick; None if it does not."""
    return found if type(found) is int and 0 < found < _MOST_TICK else None


def batches(
    items: Sequence[T], *, size: Callable[[T], int] = lambda _: 0
) -> Iterator[Sequence[T]]:
    """Part what would keep others waiting for too long if it were one statement."""
    batch: list[T] = []
    total = 0
    for item in items:
        total += size(item)
        if batch and (len(batch) >= MOST_ROWS or total > _MOST_BYTES):
            yield batch
            batch, total = [], size(item)
        batch.append(item)
    if batch:
        yield batch


# -- region clocks -------------------------------------------------------------


def clock_record(state: ClockState) -> bytes:
    """Write down what a clock has besides its tick."""
    marks = [
        [mark.reach.scope.value, mark.reach.name, mark.hard, tick]
        for mark, tick in state.marks.items()
    ]
    return json.dumps([state.hard_floor, state.soft_floor, marks]).encode()


def clock_state(tick: Any, record: Any) -> ClockState | None:
    """Read a clock; None if it is damaged."""
    sound, text = sound_tick(tick), sound_value(record)
    if sound is None or text is None:
        return None
    try:
        hard_floor, soft_floor, listed = json.loads(text)
        marks = {
            Mark(Reach(Scope(scope), name), hard=hard is True): int(at)
            for scope, name, hard, at in listed
        }
        return ClockState(
            tick=sound,
            hard_floor=int(hard_floor),
            soft_floor=int(soft_floor),
            marks=marks,
        )
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
