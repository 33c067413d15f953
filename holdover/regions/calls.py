"""One request for a value, and what its creator made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from holdover.regions.backends.grants import Lease
from holdover.regions.codecs import refuse_lazy
from holdover.regions.errors import UncacheableValue
from holdover.regions.flights import Flight
from holdover.regions.lifetime import Lifetime
from holdover.regions.outcomes import Found
from holdover.regions.returned import Cached, checked_tags
from holdover.regions.values import slotted

Described = tuple[str, list[Any], dict[str, Any], str]
"""A call as data: the function's registered name, args, kwargs and the user's key."""


@slotted(kw_only=True)
class Call:
    """One request for a value.

    Attributes:
        user_key: The key as the user gave it.
        key: The key as stored.
        create: Makes the value; takes no arguments.
        lifetime: How its age is judged.
        own_lifetime: Whether the entry is to carry that lifetime with it.
        tags: Names under which the entry can be invalidated, or what makes them.
        should_cache: Says whether a created value is to be stored; None: always.
        empty: Makes what is served at once if there is no value; None: wait instead.
        strict: Whether to raise if the backend cannot be reached.
        foreground: Whether it can be created by its callers only, and by no runner.
        order: Function, args, kwargs and key for a refresh elsewhere, if it can travel.
        task_options: Makes the options for a queue that takes the order; None: none.
        refresh_timeout: Seconds within which no second refresh of it is ordered; None:
            as the region's terms say.
        asked: The ticket that says when, in this process, it was asked.
    """

    user_key: str
    key: str
    create: Callable[[], Any]
    lifetime: Lifetime
    own_lifetime: bool = False
    tags: Sequence[str] | Callable[[], Iterable[str]] = ()
    should_cache: Callable[[Any], bool] | None = None
    empty: Callable[[], Any] | None = None
    strict: bool = False
    foreground: bool = False
    order: Callable[[], Described | None] | None = None
    task_options: Callable[[], Mapping[str, Any]] | None = None
    refresh_timeout: float | None = None
    asked: int = 0

    def made_tags(self) -> tuple[str, ...]:
        """Give the tags.

        Raises:
            InvalidArgument: What makes them gave something else than texts.
        """
        if not self.tags:
            return ()
        return checked_tags(self.tags() if callable(self.tags) else self.tags)


@slotted
class Made:
    """What a creator made, and what becomes of it.

    Attributes:
        value: The value.
        cost: Seconds that it took.
        wanted: Whether it is to be stored.
        lifetime: By what it is to be kept.
        own_lifetime: Whether the entry is to carry that lifetime with it.
        tags: Names under which the entry can be invalidated.
        stored: Whether it was stored.
    """

    value: Any
    cost: float
    wanted: bool
    lifetime: Lifetime
    own_lifetime: bool
    tags: tuple[str, ...] = ()
    stored: bool = False

    @classmethod
    def of(cls, call: Call, returned: Any, cost: float) -> Made:
        """Take what the creator of *call* has returned, plain or `Cached`.

        Raises:
            LazyValue: It could be read only once.
        """
        special = returned if isinstance(returned, Cached) else Cached(returned)
        refuse_lazy(special.value)
        wanted = call.should_cache is None or bool(call.should_cache(special.value))
        own = special.lifetime(call.lifetime)
        return cls(
            special.value,
            cost,
            wanted=special.store and wanted,
            lifetime=own or call.lifetime,
            own_lifetime=call.own_lifetime or own is not None,
            tags=(*call.made_tags(), *special.tags),
        )

    @classmethod
    def stored_already(cls, call: Call, value: Any) -> Made:
        """Take what dogpile.cache has created for *call*, and stored."""
        return cls(value, 0.0, True, call.lifetime, False, stored=True)  # noqa: FBT003


CreateMany = Callable[[Sequence[str]], Iterable[Any]]
"""Makes the values for several of the users' keys, in their order."""


@slotted
class Part:
    """One key of several that are created at once.

    Attributes:
        call: The request for it.
        found: What there was.
        flight: On whose behalf it is created.
        lease: The right to store it, if it was won.
    """

    call: Call
    found: Found
    flight: Flight
    lease: Lease | None


def checked_values(returned: Any, count: int) -> list[Any]:
    """Take what a creator of several values has returned.

    Raises:
        UncacheableValue: It is not one value for each key.
    """
    if isinstance(returned, Mapping | str | bytes) or not isinstance(
        returned, Iterable
    ):
        raise UncacheableValue(
            "a creator of several values returns them in the order of its keys, and "
            f"this one returned a {type(returned).__name__}"
        )
    values = list(returned)
    if len(values) != count:
        raise UncacheableValue(
            f"a creator returned {len(values)} values for {count} keys"
        )
    return values
