"""The one decision that everything hangs on: how usable is a stored value now?"""

from __future__ import annotations

import enum
import random
from typing import TYPE_CHECKING

from holdover.regions.envelope import FENCES

if TYPE_CHECKING:
    from holdover.regions.envelope import Entry
    from holdover.regions.lifetime import Lifetime

_DICE = random.SystemRandom()  # no state that a fork or a test could share


class Freshness(enum.Enum):
    """What a caller may do with a stored value.

    FRESH is served. STALE is served while one caller or worker makes the next value.
    FALLBACK is served only if its creator fails. GONE is never served.
    """

    FRESH = "fresh"
    STALE = "stale"
    FALLBACK = "fallback"
    GONE = "gone"


class Standing(enum.Enum):
    """What the region clock says of an entry."""

    CURRENT = "current"
    SOFT = "softly invalidated"
    HARD = "invalidated"


def assess(
    entry: Entry, lifetime: Lifetime, now: float, standing: Standing = Standing.CURRENT
) -> Freshness:
    """Say how usable *entry* is at *now* (seconds, wall clock).

    The reader's *lifetime* judges it, unless the entry carries its own.
    """
    if standing is Standing.HARD or now >= entry.kept_until:
        return Freshness.GONE
    judge = entry.lifetime or lifetime
    expiration = judge.expiration_time
    if lifetime.jitter:
        expiration = _expiration(entry, lifetime)
    age = now - entry.created_at
    is_untouched = standing is not Standing.SOFT and not entry.expired
    # Nearly every entry that is read; told here, it takes a third less.
    if is_untouched and (expiration is None or 0.0 <= age < expiration):
        return Freshness.FRESH
    overdue = _overdue(age, expiration)
    if not is_untouched:
        overdue = max(overdue, 0.0)
    if overdue < 0.0:
        return Freshness.FRESH
    return _beyond_expiry(overdue, judge)


def expires_at(entry: Entry, lifetime: Lifetime) -> float | None:
    """Give the time (wall clock) when *entry* expires by its age; None: never."""
    expiration = _expiration(entry, lifetime)
    return None if expiration is None else entry.created_at + expiration


def fresh_until(entry: Entry, lifetime: Lifetime) -> float:
    """Give the time (wall clock) until which a fresh *entry* stays so by its age."""
    end = expires_at(entry, lifetime)
    return entry.kept_until if end is None else min(end, entry.kept_until)


def is_due_early(entry: Entry, lifetime: Lifetime, now: float) -> bool:
    """Decide by lot whether a fresh value is to be refreshed before it expires.

    The dearer it was and the nearer its end, the likelier: XFetch (Vattani,
    Chierichetti and Lowenstein 2015, "Optimal Probabilistic Cache Stampede Prev.").
    It says when; who does it, the lease decides.
    """
    end = expires_at(entry, lifetime)
    if end is None:
        return False
    head_start = entry.cost * lifetime.early_refresh * _DICE.expovariate(1.0)
    return head_start >= end - now


def _expiration(entry: Entry, lifetime: Lifetime) -> float | None:
    """For how many seconds *entry* is fresh: its own or its reader's, with jitter."""
    jitter, own = lifetime.jitter, entry.lifetime
    expiration = lifetime.expiration_time if own is None else own.expiration_time
    if not jitter or expiration is None:
        return expiration
    # The fence is random, and the same for all who read this entry.
    earlier: float = jitter * entry.fence / FENCES
    return expiration * (1.0 - earlier)


def _overdue(age: float, expiration_time: float | None) -> float:
    """Seconds since expiry; below zero while fresh.

    A stamp from the future counts as age 0, since hosts' clocks differ a little. One
    more than a whole lifetime ahead is nonsense, and such a value has just expired.
    """
    if expiration_time is None:
        return -1.0
    if age < 0.0:
        return 0.0 if -age > expiration_time else -expiration_time
    return age - expiration_time


def _beyond_expiry(overdue: float, lifetime: Lifetime) -> Freshness:
    window = lifetime.stale_while_revalidate
    if window is None or overdue < window:
        return Freshness.STALE
    window = lifetime.stale_if_error
    if window is not None and overdue < window:
        return Freshness.FALLBACK
    return Freshness.GONE
