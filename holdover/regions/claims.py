"""A lease in the hands of code that reads first and writes later."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from holdover.regions.backends.grants import Lease
from holdover.regions.calls import Call, Made
from holdover.regions.crew import Crew
from holdover.regions.errors import HoldoverError
from holdover.regions.leases import RENEWALS


class KeyLease:
    """The right to create one key, for code that cannot be a creator.

    What `Region.lease` gives. It is renewed until it is committed or released, at most
    for ``lease.max_hold`` seconds; as a context manager it is released at the end of
    the block, unless it was committed.

    Attributes:
        key: The key.
    """

    def __init__(self, crew: Crew, call: Call, lease: Lease) -> None:
        self.key = call.user_key
        self._crew = crew
        self._call = call
        self._lease: Lease | None = lease
        self._began_at = crew.time.steady()
        # No ExitStack, whose traces of an exception would keep it alive.
        self._renewal = RENEWALS.holding(crew.tier.backend, lease, crew.terms)
        self._renewal.__enter__()

    def commit(self, value: Any) -> bool:
        """Store *value*, unless the key was set or invalidated in the meantime.

        Args:
            value: What to store, plain or `Cached`.

        Returns:
            Whether it was stored. If not, give it to nobody but him who asked before
            you began to make it.

        Raises:
            LazyValue: It could be read only once; the lease stays.
            HoldoverError: The lease was committed or released already.
        """
        cost = self._crew.time.steady() - self._began_at
        made = Made.of(self._call, value, cost)
        lease = self._end()
        if not made.wanted:
            self._crew.tier.release(lease)
            return False
        self._crew.maker.commit(lease, made)
        return made.stored

    def release(self) -> None:
        """Let others create the key; does nothing once it is committed."""
        if self._lease is not None:
            self._crew.tier.release(self._end())

    def _end(self) -> Lease:
        lease, self._lease = self._lease, None
        if lease is None:
            raise HoldoverError(f"the lease of {self.key!r} has ended already")
        self._renewal.__exit__(None, None, None)
        return lease

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
