"""What a creator may return besides a plain value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, field, replace
from typing import Any, Final, Generic, TypeVar

from holdover.regions.errors import InvalidArgument
from holdover.regions.lifetime import Lifetime
from holdover.regions.values import frozen

T_co = TypeVar("T_co", covariant=True)


class _Unset:
    """Stands for "as the region says"."""

    def __repr__(self) -> str:
        return "as the region says"


UNSET: Final[Any] = _Unset()
_SPANS = ("expiration_time", "stale_while_revalidate", "stale_if_error", "keep_for")


@frozen
class Cached(Generic[T_co]):
    """A value with rules of its own, for creators that know more than their region.

    Callers get the value. A span that is given holds for this entry, whoever reads it::

        @region.cache_on_arguments()
        def page(path):
            answer = fetch(path)
            return Cached(answer.body, expiration_time=answer.max_age)

    For type checkers such a function returns ``Cached[str]``, and what takes its place
    returns ``str``.

    Attributes:
        value: What callers get.
        expiration_time: Seconds for which it is fresh; None means always.
        stale_while_revalidate: See `Lifetime`.
        stale_if_error: See `Lifetime`.
        keep_for: See `Lifetime`.
        tags: Names under which it can be invalidated.
        store: Whether to store it at all.

    Raises:
        InvalidLifetime: A span is negative, NaN or no number.
        InvalidArgument: *tags* is no collection of texts.
    """

    value: T_co
    _: KW_ONLY
    expiration_time: float | None = UNSET
    stale_while_revalidate: float | None = UNSET
    stale_if_error: float | None = UNSET
    keep_for: float | None = UNSET
    tags: tuple[str, ...] = field(default=())
    store: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", checked_tags(self.tags))
        self.lifetime(Lifetime())  # wrong spans are told where they are written

    @classmethod
    def with_lifetime(cls, value: Any, lifetime: Lifetime) -> Cached[Any]:
        """Give a value all spans of which are those of *lifetime*."""
        return cls(value, **{name: getattr(lifetime, name) for name in _SPANS})

    def lifetime(self, otherwise: Lifetime) -> Lifetime | None:
        """Give the entry's own lifetime, if any span is its own.

        Args:
            otherwise: What holds for the spans that are not given.
        """
        own = {name: getattr(self, name) for name in _SPANS}
        own = {name: span for name, span in own.items() if span is not UNSET}
        return replace(otherwise, **own) if own else None


def checked_tags(tags: object) -> tuple[str, ...]:
    """Take a collection of tags.

    Raises:
        InvalidArgument: It is a single text, or holds something else than texts.
    """
    if not tags and type(tags) is tuple:
        return tags  # as with nearly every call
    if isinstance(tags, str | bytes) or not isinstance(tags, Iterable):
        raise InvalidArgument(f"tags must be a collection of str, got {tags!r}")
    found = tuple(tags)
    for tag in found:
        if not isinstance(tag, str) or not tag:
            raise InvalidArgument(f"a tag must be a str that is not empty, got {tag!r}")
    return found
