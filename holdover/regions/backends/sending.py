"""What goes to a store: values that it takes, in portions that hold nobody up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from holdover.regions.backends.grants import Stored
from holdover.regions.errors import ValueTooLarge

T = TypeVar("T")

_MOST_ITEMS = 100
_MOST_BYTES = 1 << 20
_LONGEST_REASON = 500  # bytes


def batches(
    items: Sequence[T],
    *,
    most: int = _MOST_ITEMS,
    size: Callable[[T], int] = lambda _: 0,
) -> Iterator[Sequence[T]]:
    """Part what would keep a store from others for too long if it were sent at once.

    Args:
        items: What to part.
        most: How many may go together.
        size: Gives an item's bytes; a batch has a mebibyte of them, or one item.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        total += size(item)
        if batch and (len(batch) >= most or total > _MOST_BYTES):
            yield batch
            batch, total = [], size(item)
        batch.append(item)
    if batch:
        yield batch


def weight(stored: Stored) -> int:
    """Give the size of what is to be sent; what is no bytes is refused elsewhere."""
    return len(stored) if isinstance(stored, bytes) else 0


def accepted_bytes(backend: object, stored: Stored, most: int) -> bytes:
    """Give what is to be stored, if a *backend* takes that.

    Raises:
        TypeError: It is not bytes.
        ValueTooLarge: It is more than *most* bytes.
    """
    if not isinstance(stored, bytes):
        raise TypeError(f"{type(backend).__name__} stores bytes, not {type(stored)}")
    if len(stored) > most:
        raise ValueTooLarge(f"{len(stored)} bytes are more than max_bytes={most}")
    return stored


def reason_bytes(reason: str, most: int = _LONGEST_REASON) -> bytes:
    """Give the reason of a pause as it is kept: *most* bytes of it."""
    return reason.encode("utf-8", "replace")[:most]
