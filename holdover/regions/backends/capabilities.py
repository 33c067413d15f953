"""What a backend declares of itself."""

from __future__ import annotations

from holdover.regions.values import frozen


@frozen(kw_only=True)
class Capabilities:
    """What users and the docs' table may know of a backend before choosing it.

    A class declares what holds for its default arguments; where the arguments decide,
    an instance declares its own.

    Attributes:
        shared_by: Who sees the same entries: "process", "host" or "fleet".
        durable: Whether entries outlive the processes that use them.
        keeps_objects: Whether values are kept as they are, without a codec.
        bounded_by: The options that limit its size.
        clock: Whose clock judges leases and ttls: "host", "server", or "none".
        expires_by_itself: Whether it removes what is past its ttl, so that ``purge()``
            has nothing to do.
        may_lose: What makes it lose entries without notice: "eviction", "restart" (of
            the server, or of the process), "failover".
        largest_value: Bytes that a value may have by default; None: any number.
        transactional: Whether an invalidation can be part of the application's own
            transaction.
        pushes: Whether it tells other processes at once of what is invalidated.
    """

    shared_by: str
    durable: bool
    keeps_objects: bool
    bounded_by: tuple[str, ...]
    clock: str = "host"
    expires_by_itself: bool = False
    may_lose: tuple[str, ...] = ()
    largest_value: int | None = None
    transactional: bool = False
    pushes: bool = False
