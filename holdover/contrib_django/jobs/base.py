"""The job: a value that is fetched at a price, and how it is kept."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.core.cache import caches

from holdover import errors
from holdover.contrib_django.jobs import options
from holdover.contrib_django.jobs.asked import Asked
from holdover.contrib_django.jobs.finding import Findable, find_class
from holdover.contrib_django.jobs.places import Place, place_of
from holdover.contrib_django.jobs.travelling import keyable
from holdover.regions.keys import encode

log = logging.getLogger("holdover")

_LONGEST_TTL = 2_592_000  # seconds: 30 days, as memcached has it


class Call(NamedTuple):
    """What ``get()`` was called with.

    Attributes:
        args: Positional arguments.
        kwargs: Keyword arguments.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Job(Findable):
    """A value that is kept, served while it is stale, and refreshed by a worker.

    Subclass it and write ``fetch()``; ``get()`` is what callers call, with the same
    arguments. All attributes and most methods may be overridden.

    Attributes:
        lifetime: Seconds for which a value is fresh.
        refresh_timeout: Seconds within which no second refresh of a value is ordered,
            whether its order waits or its fetch has failed.
        cache_alias: Which of CACHES keeps the values; None: CACHEBACK_CACHE_ALIAS.
        cache_ttl: Seconds for which a value is kept at all; None: for ever.
        fetch_on_miss: Whether ``get()`` fetches what is missing, rather than order it
            and give ``empty()``.
        fetch_on_stale_threshold: Seconds after which ``get()`` fetches what is stale,
            counted from when it was fetched; None: never.
        set_data_kwarg: Name of the keyword argument of ``set()`` that is the value.
        task_options: How its orders travel: options of Celery's ``apply_async``, or of
            ``django_rq.get_queue``.
    """

    MISS, HIT, STALE = range(3)

    lifetime: float = 600
    refresh_timeout: float = 60
    cache_alias: str | None = None
    cache_ttl: float | None = _LONGEST_TTL
    fetch_on_miss: bool = True
    fetch_on_stale_threshold: float | None = None
    set_data_kwarg: str = "data"
    task_options: Mapping[str, Any] | None = None

    _ordering: tuple[Place, Any] | None = None

    def __init__(self) -> None:
        self.cache_alias = self.cache_alias or options.cache_alias()
        self.task_options = self.task_options or {}

    # -- for callers -----------------------------------------------------------

    def get(self, *raw_args: Any, **raw_kwargs: Any) -> Any:
        """Give the value: a fresh one, or a stale one while the next is ordered.

        Raises:
            UnkeyableArgument: No lasting key can be made from an argument.
            Exception: Whatever ``fetch()`` raised, if it was fetched here.
        """
        asked = self._asked(raw_args, raw_kwargs)
        call = Call(raw_args, raw_kwargs)
        held = asked.held()
        if held is None:
            return self._missing(asked, call)
        if held.is_fresh:
            return self.process_result(held.value, call=call, cache_status=self.HIT)
        return self._stale(asked, call, held.value, -(held.expires_in or 0.0))

    def raw_get(self, *raw_args: Any, **raw_kwargs: Any) -> tuple[float, Any] | None:
        """Give when the value expires (wall clock) and the value, as they are kept.

        Nothing is ordered. None if there is no value.
        """
        held = self._asked(raw_args, raw_kwargs).held()
        if held is None:
            return None
        left = float("inf") if held.expires_in is None else held.expires_in
        return time.time() + left, held.value

    def set(self, *raw_args: Any, **raw_kwargs: Any) -> None:
        """Store a value: the argument named *set_data_kwarg*, or the last one.

        Refreshes that are under way are not stored any more.

        Raises:
            NotWritten: It could not be stored (with CACHEBACK_VERIFY_CACHE_WRITE).
            UncacheableValue: It never can be.
        """
        args = list(raw_args)
        named = self.set_data_kwarg in raw_kwargs
        data = raw_kwargs.pop(self.set_data_kwarg) if named else args.pop()
        asked = self._asked(tuple(args), raw_kwargs)
        asked.store(data, self.expiry(*asked.args, **asked.kwargs))

    def invalidate(self, *raw_args: Any, **raw_kwargs: Any) -> None:
        """Let the value be stale, and order the next; nothing if there is none."""
        self._asked(raw_args, raw_kwargs).expire()

    def delete(self, *raw_args: Any, **raw_kwargs: Any) -> None:
        """Remove the value, and let refreshes under way come to nothing."""
        asked = self._asked(raw_args, raw_kwargs)
        asked.region.delete(asked.key)

    # -- for jobs --------------------------------------------------------------

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch the value now, store it unless it is overtaken, and give it.

        Args:
            *args: As ``prepare_args()`` leaves them.
            **kwargs: As ``prepare_kwargs()`` leaves them.
        """
        return Asked(self, args, kwargs).recreate()

    def async_refresh(self, *args: Any, **kwargs: Any) -> None:
        """Order the next value, whatever there is; for arguments see `refresh`."""
        asked = Asked(self, args, kwargs)
        held = asked.held()
        if held is None or not held.is_fresh:
            asked.order()
        elif self.should_refresh(*args, **kwargs):
            asked.expire()

    def should_refresh(self, *args: Any, **kwargs: Any) -> bool:
        """Say whether an ordered refresh is still needed; asked by the worker too.

        It always is, unless CACHEBACK_VALIDATE_JOB_REFRESH_NEEDED is set: then not
        while the value is fresh for longer than *refresh_timeout*.
        """
        if not options.validates_refreshes():
            return True
        held = Asked(self, args, kwargs).held()
        if held is None or not held.is_fresh:
            return True
        return held.expires_in is not None and held.expires_in <= self.refresh_timeout

    def store(self, key: str, expiry: float, data: Any) -> None:
        """Store *data* under a key of this job's, to expire at *expiry* (wall clock).

        Raises:
            NotWritten: See `set`.
        """
        asked = Asked(self, (), {})
        asked.__dict__["key"] = str(self.cache.make_key(key))
        asked.store(data, expiry)

    @property
    def cache(self) -> Any:
        """The cache that *cache_alias* names."""
        return caches[self._alias]

    @property
    def place(self) -> Place:
        """The region behind that cache, and what refreshes it."""
        return place_of(self._alias)

    @property
    def ordering(self) -> Any:
        """What places this job's orders, with its *task_options*."""
        place = self.place
        if self._ordering is None or self._ordering[0] is not place:
            made = place.function
            if self.task_options:
                made = made.with_task_options(**self.task_options)
            self._ordering = place, made
        return self._ordering[1]

    @property
    def class_path(self) -> str:
        """Where workers find this class."""
        return f"{self.__module__}.{type(self).__name__}"

    @classmethod
    def perform_async_refresh(
        cls,
        klass_str: str,
        obj_args: Iterable[Any],
        obj_kwargs: Mapping[str, Any],
        call_args: Iterable[Any],
        call_kwargs: Mapping[str, Any],
    ) -> None:
        """Refresh as a message of django-cacheback's says, if it names a job.

        What goes wrong is logged.
        """
        try:
            made: Any = find_class(klass_str)
            job = made(*obj_args, **obj_kwargs)
            if job.should_refresh(*call_args, **call_kwargs):
                job.refresh(*call_args, **call_kwargs)
        except Exception:
            log.exception("%.200r was not refreshed", klass_str)

    # -- to be overridden ------------------------------------------------------

    def fetch(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch the value: the expensive work."""
        raise NotImplementedError(f"{self.class_path} needs a fetch()")

    def empty(self) -> Any:
        """Give what ``get()`` gives while the first value is fetched elsewhere."""
        return None

    def expiry(self, *args: Any, **kwargs: Any) -> float:
        """Give the time (wall clock) when a value that is stored now expires."""
        return time.time() + self.lifetime

    def timeout(self, *args: Any, **kwargs: Any) -> float:
        """Give the time (wall clock) until which an order of now is waited for."""
        return time.time() + self.refresh_timeout

    def prepare_args(self, *args: Any) -> tuple[Any, ...]:
        """Turn positional arguments into what keys and messages can be made of."""
        return args

    def prepare_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        """Do as `prepare_args` with the others."""
        return kwargs

    def key(self, *args: Any, **kwargs: Any) -> str:
        """Give the key: other arguments, or other types of them, another key.

        Raises:
            UnkeyableArgument: No lasting key can be made from one of them.
        """
        if not args and not kwargs:
            return self.class_path
        key = f"{self.class_path}:{self.hash(args)}"
        return f"{key}:{self.hash(sorted(kwargs.items()))}" if kwargs else key

    def hash(self, value: Any) -> str:
        """Give a text that stands for *value* in keys.

        Raises:
            UnkeyableArgument: There is none that lasts.
        """
        try:
            text = encode(keyable(value)).encode("utf-8", "surrogatepass")
        except RecursionError:
            raise errors.UnkeyableArgument(
                "an argument contains itself, or too many others in each other"
            ) from None
        return hashlib.blake2b(text, digest_size=16).hexdigest()

    def process_result(
        self,
        result: Any,
        call: Call,
        cache_status: int,
        sync_fetch: bool | None = None,  # noqa: FBT001 - as django-cacheback has it
    ) -> Any:
        """Turn a value into what ``get()`` gives.

        Args:
            result: The value.
            call: What ``get()`` was called with.
            cache_status: MISS, HIT or STALE.
            sync_fetch: Whether it was fetched for this caller; None for a hit.
        """
        return result

    def should_missing_item_be_fetched_synchronously(
        self, *args: Any, **kwargs: Any
    ) -> bool:
        """Say whether ``get()`` fetches what is missing."""
        return self.fetch_on_miss

    def should_stale_item_be_fetched_synchronously(
        self, delta: float, *args: Any, **kwargs: Any
    ) -> bool:
        """Say whether ``get()`` fetches what expired *delta* seconds ago."""
        if self.fetch_on_stale_threshold is None:
            return False
        return delta > self.fetch_on_stale_threshold - self.lifetime

    def get_init_args(self) -> tuple[Any, ...]:
        """Give what a worker needs to make this job again, by position."""
        return ()

    def get_init_kwargs(self) -> dict[str, Any]:
        """Give what a worker needs to make this job again, by name."""
        return {}

    def may_travel(self, *args: Any, **kwargs: Any) -> bool:
        """Say whether a worker may carry this out: the class is an application's."""
        try:
            return find_class(self.class_path) is type(self)
        except errors.UnregisteredFunction:
            return False

    # -- small steps -----------------------------------------------------------

    @property
    def _alias(self) -> str:
        return self.cache_alias or options.cache_alias()

    def _asked(self, raw_args: tuple[Any, ...], raw_kwargs: dict[str, Any]) -> Asked:
        args = self.prepare_args(*raw_args)
        return Asked(self, tuple(args), self.prepare_kwargs(**raw_kwargs))

    def _missing(self, asked: Asked, call: Call) -> Any:
        now = self.should_missing_item_be_fetched_synchronously(
            *asked.args, **asked.kwargs
        )
        if now:
            value = asked.create()
        else:
            asked.order()
            value = self.empty()
        return self.process_result(
            value, call=call, cache_status=self.MISS, sync_fetch=bool(now)
        )

    def _stale(self, asked: Asked, call: Call, value: Any, delta: float) -> Any:
        now = self.should_stale_item_be_fetched_synchronously(
            delta, *asked.args, **asked.kwargs
        )
        if now:
            value = asked.create_fresh()
        else:
            asked.order()
        return self.process_result(
            value, call=call, cache_status=self.STALE, sync_fetch=bool(now)
        )
