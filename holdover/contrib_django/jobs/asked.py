"""One value of a job: where it is kept, and how it is made."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import QuerySet

from holdover import NO_VALUE, Cached, Held, Lifetime, Region, errors
from holdover.contrib_django.jobs import options
from holdover.contrib_django.jobs.finding import find_class
from holdover.contrib_django.jobs.travelling import CannotTravel, packed, unpacked

_packed_here = threading.local()  # what this thread orders, and what that stands for
_SHORTEST = 0.001  # seconds: what expires at once has to be kept with some lifetime


class NotWritten(errors.BackendError, RuntimeError):
    """``set()`` could not store, and CACHEBACK_VERIFY_CACHE_WRITE wants to know."""


@dataclass(frozen=True)
class Asked:
    """What somebody wants of a job.

    Attributes:
        job: The job.
        args: What it is called with, as ``prepare_args()`` left it.
        kwargs: As ``prepare_kwargs()`` left it.
    """

    job: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """The key, as the cache itself has it."""
        own: str = self.job.key(*self.args, **self.kwargs)
        return str(self.job.cache.make_key(own))

    @cached_property
    def region(self) -> Region:
        """Where the value is kept."""
        region: Region = self.job.place.region
        return region

    @cached_property
    def refresh_timeout(self) -> float:
        """Seconds within which no second refresh is ordered."""
        until: float = self.job.timeout(*self.args, **self.kwargs)
        return max(_SHORTEST, round(until - time.time(), 3))

    # -- what there is ---------------------------------------------------------

    def held(self) -> Held | None:
        """Give the value that there is, fresh or not; None also if none can be had."""
        try:
            return self.region.hold(self.key, stale=True)
        except errors.BackendError:
            return None

    def lifetime(self, expiry: float) -> Lifetime | None:
        """Say how long a value is kept that expires at *expiry* (wall clock).

        Returns:
            None if it is not to be kept at all.
        """
        ttl, fresh_for = self.job.cache_ttl, max(_SHORTEST, expiry - time.time())
        if ttl is None:
            return Lifetime(expiration_time=fresh_for, keep_for=None)
        if ttl <= 0:
            return None
        if ttl <= fresh_for:
            return Lifetime(expiration_time=ttl, stale_while_revalidate=0, keep_for=0)
        return Lifetime(expiration_time=fresh_for, keep_for=ttl - fresh_for)

    def store(self, data: Any, expiry: float) -> None:
        """Store *data*, to expire at *expiry* (wall clock).

        Raises:
            NotWritten: It could not be stored, and somebody wants to know.
            UncacheableValue: It never can be.
        """
        lifetime = self.lifetime(expiry)
        if lifetime is None:
            self.region.delete(self.key)
            return
        value, strict = evaluated(data), options.verifies_writes()
        try:
            self.region.set(self.key, value, lifetime=lifetime, strict=strict)
        except errors.BackendError as error:
            raise NotWritten(f"{self.job.class_path}: {error}") from error

    # -- the next value --------------------------------------------------------

    def create(self) -> Any:
        """Give the value, making it if need be, once in the whole fleet."""
        mine: list[bool] = []

        def fetch() -> Any:
            mine.append(True)
            return self.fetched()

        value = self.region.get_or_create(self.key, fetch)
        return value if mine else self._copied(value)

    def create_fresh(self) -> Any:
        """Do as `create`, and take no old value."""
        return self._copied(self.job.place.function.get_fresh(self))

    def recreate(self) -> Any:
        """Make the value now, whatever there is."""
        return self.job.place.function.refresh(self)

    def order(self) -> None:
        """Have a worker make the value, unless there is a fresh one."""
        with self._as_order() as wanted:
            self.job.ordering.order(wanted)

    def expire(self) -> None:
        """Let what there is be old, and have a worker make the next."""
        with self._as_order() as wanted:
            self.job.ordering.expire(wanted)

    def fetched(self) -> Any:
        """Run the job; give its value with its own lifetime."""
        value = evaluated(self.job.fetch(*self.args, **self.kwargs))
        lifetime = self.lifetime(self.job.expiry(*self.args, **self.kwargs))
        if lifetime is None:
            return Cached(value, store=False)
        return Cached.with_lifetime(value, lifetime)

    def _copied(self, value: Any) -> Any:
        """Give a caller who got what another made an object of his own."""
        kept = self.region.get(self.key, ignore_expiration=True)
        return value if kept is NO_VALUE else kept

    # -- as data ---------------------------------------------------------------

    @contextmanager
    def _as_order(self) -> Iterator[Any]:
        """Give it as data, which this thread need not read again."""
        wanted = self._packed()
        _packed_here.pair = (wanted, self)
        try:
            yield wanted
        finally:
            del _packed_here.pair

    def _packed(self) -> Any:
        """Give it as data; what cannot travel stays in this process, as it is."""
        job = self.job
        if not job.may_travel(*self.args, **self.kwargs):
            return Ordered(self)
        try:
            return {
                "job": job.class_path,
                "init": [
                    [packed(one) for one in job.get_init_args()],
                    _packed_names(job.get_init_kwargs()),
                ],
                "call": [
                    [packed(one) for one in self.args],
                    _packed_names(self.kwargs),
                ],
                "refresh_timeout": self.refresh_timeout,
            }
        except CannotTravel:
            return Ordered(self)


def evaluated(value: Any) -> Any:
    """Read a query set now: what is kept are its rows."""
    if isinstance(value, QuerySet):
        len(value)
    return value


@dataclass(frozen=True)
class Ordered:
    """What was ordered and cannot travel: this process makes it, in a thread."""

    asked: Asked


def read_asked(wanted: object) -> Asked:
    """Read what is wanted, from an order or from this process.

    Raises:
        UnregisteredFunction: It names what no worker may run.
        TypeError: It is no order of ours.
    """
    if isinstance(wanted, Asked):
        return wanted
    mine: tuple[Any, Asked | None] = getattr(_packed_here, "pair", (None, None))
    if mine[1] is not None and wanted is mine[0]:
        return mine[1]
    return wanted.asked if isinstance(wanted, Ordered) else _unpacked(wanted)


def key_of(wanted: Any) -> str:
    """Give the key of what is wanted.

    Raises:
        UnregisteredFunction: See `read_asked`.
        TypeError: There is none; a message was made up, or a row is gone.
    """
    return read_asked(wanted).key


def timeout_of(wanted: Any) -> float | None:
    """Give the ``refresh_timeout`` of what is wanted."""
    if isinstance(wanted, Ordered):
        return wanted.asked.refresh_timeout
    return None if isinstance(wanted, Asked) else wanted.get("refresh_timeout")


def refresh(wanted: Any) -> Any:
    """Make what is wanted; what regions and their workers call."""
    asked = read_asked(wanted)
    is_ordered = not isinstance(wanted, Asked)
    if is_ordered and not asked.job.should_refresh(*asked.args, **asked.kwargs):
        return Cached(None, store=False)
    return asked.fetched()


def _packed_names(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: packed(held) for name, held in given.items()}


def _unpacked(wanted: Any) -> Asked:
    try:
        path, (init_args, init_kwargs) = wanted["job"], wanted["init"]
        args, kwargs = wanted["call"]
        made: Any = find_class(path)
        job = made(*unpacked(init_args), **unpacked(init_kwargs))
        asked = Asked(job, tuple(unpacked(args)), unpacked(kwargs))
        may_travel = job.may_travel(*asked.args, **asked.kwargs)
        _ = may_travel and asked.key  # which runs the job's own code, too
    except errors.HoldoverError:
        raise
    except Exception as error:
        raise TypeError(f"no job is wanted by {wanted!r:.200}: {error}") from error
    if not may_travel:
        raise errors.UnregisteredFunction(f"{path} may not be run for a message")
    return asked
