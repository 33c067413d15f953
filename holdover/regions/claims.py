"""A lease in the hands of code that reads first and writes later."""

from __future__ import annotations

import os
from functools import partial
from types import TracebackType
from typing import Any, Self

from dogpile.cache.api import NO_VALUE

from holdover.regions.backends.grants import Lease
from holdover.regions.calls import Call, Made
from holdover.regions.crew import Crew
from holdover.regions.errors import HoldoverError
from holdover.regions.leases import RENEWALS
from holdover.regions.values import frozen


class KeyLease:
    """The right to create one key, for code that cannot be a creator.

    What `Region.lease` gives. It is renewed until it is committed or released, at most
    for ``lease.max_hold`` seconds; as a context manager it is released at the end of
    the block, unless it was committed. So it is, soon, once nobody refers to it.

    Attributes:
        key: The key.
    """

    def __init__(self, crew: Crew, call: Call, lease: Lease) -> None:
        self._lease: Lease | None = lease
        self.key = call.user_key
        self._crew = crew
        self._call = call
        self._process = os.getpid()
        self._began_at = crew.time.steady()
        # No ExitStack, whose traces of an exception would keep it alive.
        self._renewal = RENEWALS.holding(crew.tier.backend, lease, crew.terms)
        self._renewal.__enter__()

    @property
    def is_held(self) -> bool:
        """Whether it was neither committed nor released; it may have lapsed."""
        return self._lease is not None

    def commit(self, value: Any, *, strict: bool = False) -> bool:
        """Store *value*, unless the key was set or invalidated in the meantime.

        Args:
            value: What to store, plain or `Cached`.
            strict: Whether to raise if it cannot be stored for another reason.

        Returns:
            Whether it was stored. If not, give it to nobody but him who asked before
            you began to make it.

        Raises:
            LazyValue: It could be read only once; the lease stays.
            HoldoverError: The lease was committed or released already.
            UncacheableValue: Only if *strict*; the codec cannot encode it.
            BackendError: Only if *strict*; the backend cannot be reached.
        """
        cost = self._crew.time.steady() - self._began_at
        made = Made.of(self._call, value, cost)
        lease = self._end()
        if not made.wanted:
            self._give_back(lease)
            return False
        self._crew.maker.commit(lease, made, strict=strict)
        return made.stored

    def release(self) -> None:
        """Let others create the key; does nothing once it is committed."""
        if self._lease is not None:
            self._give_back(self._end())

    def __del__(self) -> None:
        lease = self._lease
        if lease is not None and self._process == os.getpid():  # no child's to give up
            self._lease = None
            RENEWALS.release_soon(partial(self._give_back, lease))

    def _give_back(self, lease: Lease) -> None:
        self._crew.tier.release(lease)
        self._crew.taken.forget(lease.key)

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


@frozen
class Looked:
    """What `Region.get_or_lease()` has found.

    Attributes:
        value: The value, fresh or stale; ``NO_VALUE`` if there is none.
        is_fresh: Whether it is fresh.
        lease: The right to make the next value; None unless this one is stale, and
            nobody else makes it.
    """

    value: Any = NO_VALUE
    is_fresh: bool = False
    lease: KeyLease | None = None
