"""Where responses are kept: in a region, under the keys of their URLs and variants."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from holdover import Cached, Delivery, Held, KeyLease, Lifetime, Region, errors, events
from holdover.wsgi.http.messages import Request, Stored, Target
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.reuse import Reuse, reuse
from holdover.wsgi.http.validation import questions
from holdover.wsgi.http.variants import (
    Passed,
    Variants,
    primary_key,
    readable_key,
    selected,
    varied_names,
)

_SHORTEST = 1e-6  # seconds; a region's values are fresh for a moment at least
_INDEX_LIFETIME = Lifetime(expiration_time=7 * 86_400.0)
_MOVING = 60.0  # seconds; one who stores a new variant takes no longer
_SWAPS = 100  # tries against others who note variants of the same page
_KEPT_TO_ASK = 86_400.0  # seconds past its use for which one is kept to be asked about


@dataclass(frozen=True, slots=True)
class Place:
    """Where the response to a request is, or would be.

    Attributes:
        primary: The key of the URL.
        key: The key of the response.
        variants: What is known of the URL's variants; None if there are none.
        chosen: What tells this one from the others; empty without variants.
    """

    primary: str
    key: str
    variants: Variants | None = None
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for a request.

    Attributes:
        place: Where.
        stored: The response; None without one.
        expired: Whether it is past its time, or was made to expire before, softly.
        passed: Why responses are not stored there; None if they may be.
    """

    place: Place
    stored: Stored | None = None
    expired: bool = False
    passed: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether whatever is stored there takes up new room."""
        return self.stored is None and self.passed is None


class Pages:
    """The stored responses of a region.

    Args:
        region: Its codec is `PageCodec`, or it keeps objects.
        policy: The site's.
    """

    def __init__(self, region: Region, policy: Policy) -> None:
        self.region = region
        self._policy = policy

    def find(self, request: Request) -> Found:
        """Look a request up.

        Raises:
            BackendError: The backend cannot be reached.
        """
        primary = primary_key(request.target)
        held = self.region.hold(primary, stale=True)
        value = None if held is None else held.value
        if isinstance(value, Variants):
            return self._variant(request, primary, value)
        return _found(Place(primary, primary), held)

    def _variant(self, request: Request, primary: str, variants: Variants) -> Found:
        chosen = selected(variants.varied, request.headers, self._policy.normalise)
        key = variants.key(primary, chosen)
        place = Place(primary, key, variants, chosen)
        if chosen not in variants.known:
            return Found(place)
        return _found(place, self.region.hold(key, stale=True))

    def cached(self, stored: Stored) -> Cached[Any]:
        """Give a response with the lifetime that it has yet, for the region."""
        if_error = stored.stale_if_error
        asked_about = _KEPT_TO_ASK if questions(stored) else 0.0
        kept = max(stored.stale_while_revalidate, if_error, asked_about)
        left = stored.lifetime - stored.age(time.time())
        return Cached(
            stored,
            expiration_time=max(_SHORTEST, left),
            stale_while_revalidate=stored.stale_while_revalidate,
            stale_if_error=kept,
            keep_for=kept,
            tags=stored.tags,
        )

    # -- storing ---------------------------------------------------------------

    def keep(
        self, request: Request, found: Place, stored: Stored, lease: KeyLease
    ) -> bool:
        """Store a response that has come for a request, and end the lease.

        It is found only through what lies under the URL's own key, and that is changed
        only if nobody has removed it since. Variants of a URL differ by all fields that
        any of its responses ever varied by, since applications name them only now and
        then.

        Returns:
            Whether it was stored.
        """
        was = () if found.variants is None else found.variants.varied
        varied = tuple(sorted({*varied_names(stored.response.headers), *was}))
        if varied == was:
            return lease.commit(self.cached(stored)) and self._noted(found)
        chosen = selected(varied, request.headers, self._policy.normalise)
        variants = Variants.begun(varied)
        place = Place(found.primary, variants.key(found.primary, chosen))
        # What is invalidated while the response is made must not be found afterwards.
        # That is seen by what the lease commits: it counts from when that was won, and
        # has the same tags. The variant counts from now, so this is looked at later.
        if not lease.commit(self._marker(found, variants, stored)):
            return False
        self.region.set(place.key, self.cached(stored))
        marker = self.region.hold(found.key, stale=True)
        if marker is None or not marker.is_fresh:
            return False
        if found.variants is None:
            return self._noted(Place(found.primary, place.key, variants, chosen))
        begun_anew = variants.with_one(chosen, 1)
        return self._swapped(found, lambda _: begun_anew)

    def _marker(
        self, found: Place, variants: Variants, stored: Stored
    ) -> Cached[Variants | Passed]:
        """Give what stands where the lease is: the index itself, if that is there."""
        if found.variants is None:
            return Cached(
                variants,
                expiration_time=_INDEX_LIFETIME.expiration_time,
                tags=stored.tags,
            )
        return Cached(Passed("moved"), expiration_time=_MOVING, tags=stored.tags)

    def keep_passing(self, place: Place, reason: str, lease: KeyLease) -> bool:
        """Remember that responses are not stored here, and end the lease.

        Returns:
            Whether it was stored.
        """
        passed = Cached(
            Passed(reason),
            expiration_time=self._policy.pass_for,
            stale_while_revalidate=0.0,
            stale_if_error=0.0,
            keep_for=0.0,
        )
        if not self._policy.pass_for or not lease.commit(passed):
            return False
        return self._noted(place)

    def _noted(self, found: Place) -> bool:
        """Have a variant be found from now on."""
        if found.variants is None:
            return True

        def noted(there: Variants) -> Variants:
            if found.chosen in there.known:
                return there
            return there.with_one(found.chosen, self._policy.most_variants)

        return self._swapped(found, noted)

    def _swapped(self, found: Place, newer: Callable[[Variants], Variants]) -> bool:
        """Put what *newer* gives in place of the index that was found."""
        for _ in range(_SWAPS):
            held = self._index(found)
            if held is None:
                return False
            variants = newer(held.value)
            if variants is held.value:  # nothing changes
                return True
            if held.replace(variants, lifetime=_INDEX_LIFETIME) is not None:
                return True
        return False

    def _index(self, found: Place) -> Held | None:
        """Give the index if it is still the one that was found."""
        held, was = self.region.hold(found.primary, stale=True), found.variants
        if held is None or was is None or not isinstance(held.value, Variants):
            return None
        return held if held.value.generation == was.generation else None

    def tell_of_new(self, place: Place) -> None:
        """Have it counted that something is stored where nothing was."""
        added = events.KeyAdded(region=self.region.name or "", key=place.key)
        self.region.tell(added)

    # -- removing --------------------------------------------------------------

    def remove(
        self, target: Target, *, soft: bool = False, strict: bool = False
    ) -> Delivery:
        """Have nothing be found for a URL, nor what is under way be stored.

        Args:
            target: The URL.
            soft: Whether what is there only expires.
            strict: Whether to raise if the backend cannot be reached.

        Raises:
            BackendError: Only if *strict*.
        """
        primary = primary_key(target)
        if soft:
            return self.region.invalidate(hard=False, prefix=primary, strict=strict)
        return self.region.delete(primary, strict=strict)

    def forget(self, place: Place) -> None:
        """Have nothing be found at one place, nor what is under way be stored."""
        self.region.delete(place.key)

    def remove_prefix(
        self, start: Target, *, soft: bool = False, strict: bool = False
    ) -> Delivery:
        """Do so for all URLs whose spelling, without the query, begins like *start*."""
        prefix = readable_key(start)
        return self.region.invalidate(hard=not soft, prefix=prefix, strict=strict)

    def remove_tags(
        self, tags: Collection[str], *, soft: bool = False, strict: bool = False
    ) -> Delivery:
        """Do so for all responses that carry one of some tags.

        Raises:
            InvalidArgument: A tag is no text, or empty; or there is none.
        """
        if not tags:  # which would mean all that there is
            raise errors.InvalidArgument("pages are purged by at least one tag")
        return self.region.invalidate(hard=not soft, tags=tags, strict=strict)


def _found(place: Place, held: Held | None) -> Found:
    if held is None:
        return Found(place)
    if isinstance(held.value, Passed):
        return Found(place, passed=held.value.reason if held.is_fresh else None)
    if not isinstance(held.value, Stored):
        return Found(place)
    stored, is_expired = held.value, not held.is_fresh
    if is_expired:  # by its age alone? That is told by the response itself.
        is_expired = stored.age(time.time()) < stored.lifetime
    return Found(place, stored, expired=is_expired)


def reuse_of(found: Found, request: Request) -> Reuse:
    """Say how what was found may answer a request; by nothing, not at all."""
    if found.stored is None:
        return Reuse.NOT_WITHOUT_ASKING
    asked = request.directives
    return reuse(found.stored, asked, time.time(), expired=found.expired)
