"""Invalidation as a part of the caller's own database transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdover.regions.backends.transactional import Transactional
from holdover.regions.errors import ConfigurationError
from holdover.regions.outcomes import Delivery
from holdover.regions.ticks import Reach
from holdover.regions.tier import Tier


def remove_within(tier: Tier, connection: Any, keys: Sequence[str]) -> Delivery:
    """Remove values once the transaction of *connection* is committed.

    Raises:
        ConfigurationError: The backend is not in the application's database.
    """
    existed = _backend(tier).remove_within(connection, keys)
    tier.forget(keys)
    return Delivery(existed=existed)


def invalidate_within(
    tier: Tier, connection: Any, *, hard: bool, reaches: Sequence[Reach]
) -> Delivery:
    """Invalidate a region, or parts of it, once that transaction is committed.

    Raises:
        ConfigurationError: The backend is not in the application's database.
    """
    _backend(tier).advance_within(connection, tier.region, hard=hard, reaches=reaches)
    tier.forget(None)
    return Delivery()


def _backend(tier: Tier) -> Transactional:
    backend = tier.backend
    is_able = backend.capabilities.transactional
    if not is_able or not isinstance(backend, Transactional):
        raise ConfigurationError(
            "connection= needs a backend in the application's database, such as "
            f"'holdover.sql', and region {tier.region!r} has a "
            f"{type(backend).__name__}: call invalidate_after_commit()"
        )
    return backend
