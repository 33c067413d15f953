"""All that the answers of one region go by, besides the lifetimes of its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from holdover.regions.contexts import Contexts
from holdover.regions.lifetime import CreatorTerms, LeaseTerms, OrderTerms
from holdover.regions.values import frozen


@frozen(kw_only=True)
class Terms:
    """What a region's crew works by.

    Attributes:
        lease: How long leases last and callers wait.
        creator: What callers put up with from a creator.
        orders: How many orders there may be, and how long one may wait.
        task_options: How orders travel.
        contexts: What they take along.
    """

    lease: LeaseTerms
    creator: CreatorTerms
    orders: OrderTerms
    task_options: Mapping[str, Any] = field(default_factory=dict)
    contexts: Contexts
