"""Invalidation once the database transaction has been committed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import iscoroutinefunction
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from holdover import Region, errors
from holdover.contrib_django.orm.changes import Changes

log = logging.getLogger("holdover")

_LOOKED_AT = 50  # callbacks: what else a transaction has put there is not our time


def invalidate_on_commit(
    invalidate: Callable[..., object],
    /,
    *args: Any,
    using: str | None = None,
    **kwargs: Any,
) -> None:
    """Have ``invalidate(*args, **kwargs)`` called once the transaction has committed.

    ::

        invalidate_on_commit(region.delete, "front page")
        invalidate_on_commit(region.invalidate, tags=["prices"])
        invalidate_on_commit(price_of.invalidate, 17)
        invalidate_on_commit(cache.delete_many, ["a", "b"], using="shop")

    Outside a transaction it is called at once. If the transaction, or the savepoint in
    which this was said, is rolled back, it is not called. What it raises is logged: the
    data has been committed, and whoever did that has done nothing wrong.

    Args:
        invalidate: `Region.delete`, `Region.invalidate`, ``invalidate`` of a decorated
            function, or anything like them.
        *args: Its arguments.
        using: The alias of the database; None means the default one.
        **kwargs: Its arguments by name.

    Raises:
        InvalidArgument: *invalidate* cannot be called, or would have to be awaited.
        TransactionManagementError: Autocommit is off, and there is no ``atomic``.
    """
    given: object = invalidate
    if not callable(given) or iscoroutinefunction(given):
        raise errors.InvalidArgument(
            f"invalidate must be a plain function, got {given!r:.80}"
        )

    def carry_out() -> None:
        _carry_out(lambda: invalidate(*args, **kwargs))

    transaction.on_commit(carry_out, using)


async def ainvalidate_on_commit(
    invalidate: Callable[..., object],
    /,
    *args: Any,
    using: str | None = None,
    **kwargs: Any,
) -> None:
    """See `invalidate_on_commit`; in the thread where Django keeps its connections."""
    await sync_to_async(invalidate_on_commit)(invalidate, *args, using=using, **kwargs)


def tell_on_commit(region: Region, changes: Changes, using: str | None) -> None:
    """Invalidate what depends on *changes*, once for all changes of a transaction."""
    batch = _begun(region, using) or _Batch(region)
    batch.changes.merge(changes)
    # Once more for each change: whoever tests with TestCase runs the callbacks of some
    # of its lines only (captureOnCommitCallbacks), and whoever comes first does it all.
    transaction.on_commit(batch, using)


class _Batch:
    """Changes that are told together: those between two savepoints."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.changes = Changes()

    def __call__(self) -> None:
        changes, self.changes = self.changes, Changes()
        if tags := changes.all_tags():
            _carry_out(lambda: self.region.invalidate(tags=tags))


def _begun(region: Region, using: str | None) -> _Batch | None:
    """Find the batch that is rolled back exactly when a new one would be."""
    connection = connections[using or DEFAULT_DB_ALIAS]
    savepoints = set(connection.savepoint_ids)
    for held, callback, *_ in islice(reversed(connection.run_on_commit), _LOOKED_AT):
        is_ours = isinstance(callback, _Batch) and callback.region is region
        if is_ours and held == savepoints:
            return callback  # type: ignore[no-any-return]
    return None


def _carry_out(invalidate: Callable[[], object]) -> None:
    try:
        invalidate()
    except Exception:  # the data is committed; those after this must have their turn
        log.exception("an invalidation after a commit failed")
