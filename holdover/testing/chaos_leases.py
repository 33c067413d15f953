"""The part of `ChaosBackend` that is about leases, and what befalls all its calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from holdover.regions.backends.base import Backend
from holdover.regions.backends.grants import Busy, Grant, Lease, LeaseKind, Stored
from holdover.regions.errors import BackendError, ConfigurationError
from holdover.regions.lifetime import lease_span
from holdover.regions.timesource import SYSTEM_TIME, TimeSource, checked_time_source
from holdover.testing.chances import Chances, Chaos, Fate

T = TypeVar("T")


class ChaosLeases(Chaos, Backend):
    """Asks a backend, unless something befalls the call. See `ChaosBackend`."""

    known_arguments = frozenset[str]()

    def __init__(
        self,
        backend: Backend,
        *,
        seed: int = 0,
        verbs: Collection[str] | None = None,
        hang: float = 0.25,
        delay: float = 0.05,
        time_source: TimeSource = SYSTEM_TIME,
        **chances: float,
    ) -> None:
        super().__init__({})
        if not isinstance(backend, Backend):
            raise ConfigurationError(
                "ChaosBackend needs a backend of Holdover's, got "
                f"{type(backend).__name__}"
            )
        self._hang = lease_span(hang, "hang", zero=True)
        self._delay = lease_span(delay, "delay", zero=True)
        self._time = checked_time_source(time_source)
        self._chances = Chances(type(self), seed, verbs, chances)
        self._stand_before(backend)

    def _stand_before(self, backend: Backend) -> None:
        self.backend = backend
        self.capabilities = backend.capabilities
        self.max_bytes = backend.max_bytes
        self.key_mangler = backend.key_mangler
        self.serializer = backend.serializer
        self.deserializer = backend.deserializer

    def _ask(
        self,
        verb: str,
        do: Callable[[], T],
        *,
        refusal: Callable[[], T] | None = None,
        evict: Collection[str] = (),
    ) -> T:
        """Do it, unless something befalls it.

        Args:
            verb: By which it goes.
            do: What is to be done.
            refusal: Says no in its place; None if it cannot.
            evict: The keys that are forgotten if any are.
        """
        fate = self._chances.draw(verb)
        if fate is Fate.FAILING:
            raise BackendError(f"ChaosBackend: {verb} has failed")
        if fate is Fate.HANGING:
            self._time.sleep(self._hang)
            raise BackendError(f"ChaosBackend: {verb} has timed out")
        if fate is Fate.SLOW:
            self._time.sleep(self._delay)
        if fate is Fate.FORGETTING and evict:
            self.backend.remove_multi(list(evict))
        if fate is Fate.REFUSING and refusal is not None:
            return refusal()
        answer = do()
        if fate is Fate.UNANSWERED:
            raise BackendError(f"ChaosBackend: the answer to {verb} was lost")
        return answer

    # -- leases ----------------------------------------------------------------

    def acquire(
        self,
        key: str,
        region: str,
        *,
        ttl: float,
        seen: int | None,
        queued: bool = False,
        overtaking: Collection[LeaseKind] = (),
    ) -> Grant:
        """See `Backend.acquire`."""
        return self._ask(
            "acquire",
            lambda: self.backend.acquire(
                key, region, ttl=ttl, seen=seen, queued=queued, overtaking=overtaking
            ),
            refusal=lambda: Busy(ttl),
        )

    def acquire_multi(
        self,
        seen: Mapping[str, int | None],
        region: str,
        *,
        ttl: float,
        queued: bool = False,
        overtaking: Collection[LeaseKind] = (),
    ) -> list[Grant]:
        """See `Backend.acquire_multi`."""
        return self._ask(
            "acquire",
            lambda: self.backend.acquire_multi(
                seen, region, ttl=ttl, queued=queued, overtaking=overtaking
            ),
            refusal=lambda: [Busy(ttl)] * len(seen),
        )

    def renew(self, lease: Lease, *, ttl: float) -> bool:
        """See `Backend.renew`."""
        return self._ask(
            "renew", lambda: self.backend.renew(lease, ttl=ttl), refusal=bool
        )

    def adopt(self, key: str, region: str, token: str, *, ttl: float) -> Lease | None:
        """See `Backend.adopt`."""
        return self._ask(
            "adopt",
            lambda: self.backend.adopt(key, region, token, ttl=ttl),
            refusal=lambda: None,
        )

    def commit(
        self, lease: Lease, stored: Stored, region: str, *, ttl: float | None
    ) -> int | None:
        """See `Backend.commit`."""
        return self._ask(
            "commit",
            lambda: self.backend.commit(lease, stored, region, ttl=ttl),
            refusal=lambda: None,
        )

    def commit_multi(
        self, commits: Sequence[tuple[Lease, Stored, float | None]], region: str
    ) -> list[int | None]:
        """See `Backend.commit_multi`."""
        return self._ask(
            "commit",
            lambda: self.backend.commit_multi(commits, region),
            refusal=lambda: [None] * len(commits),
        )

    def release(self, lease: Lease) -> bool:
        """See `Backend.release`."""
        return self._ask("release", lambda: self.backend.release(lease), refusal=bool)

    def back_off(self, lease: Lease, *, ttl: float, reason: str) -> bool:
        """See `Backend.back_off`."""
        return self._ask(
            "back_off",
            lambda: self.backend.back_off(lease, ttl=ttl, reason=reason),
            refusal=bool,
        )

    def leased(self, key: str) -> Busy | None:
        """See `Backend.leased`."""
        return self._ask("leased", lambda: self.backend.leased(key))
