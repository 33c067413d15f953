"""What asking for a lease may give, and what a backend stores."""

from __future__ import annotations

import enum

from holdover.regions.envelope import Entry
from holdover.regions.values import frozen

Stored = bytes | Entry


@frozen(kw_only=True)
class Lease:
    """The right to create one key, as its holder knows it.

    Attributes:
        key: The key.
        token: Random proof of holding; whoever adopts the lease gets another.
        fence: What the key's fence was set to when the lease was won. The created
            value is stored only while it still is.
        clock: The region clock's tick before the creator starts.
        ttl: Seconds for which it was granted.
    """

    key: str
    token: str
    fence: int
    clock: int
    ttl: float


class LeaseKind(enum.Enum):
    """What keeps a key from being created by whoever asks.

    HELD: somebody creates it. QUEUED: an order waits for a worker. BACKING_OFF: its
    creator has failed, and is left alone for a while.
    """

    HELD = "held"
    QUEUED = "queued"
    BACKING_OFF = "backing off"


@frozen
class Busy:
    """The lease is taken.

    Attributes:
        expires_in: Seconds until it lapses, unless renewed.
        kind: What for.
        reason: Why the creator is left alone, if it is.
    """

    expires_in: float
    kind: LeaseKind = LeaseKind.HELD
    reason: str = ""


@frozen
class Changed:
    """The value is not the one the caller had seen: here is the newer one."""

    stored: Stored
    tick: int


Grant = Lease | Busy | Changed
