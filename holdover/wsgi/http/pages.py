"""Where responses are kept: in a region, under the keys of their URLs and variants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from holdover import Cached, Held, KeyLease, Lifetime, Region, errors
from holdover.wsgi.http.codec import PageCodec
from holdover.wsgi.http.messages import Request, Stored, Target
from holdover.wsgi.http.policy import Policy
from holdover.wsgi.http.validation import questions
from holdover.wsgi.http.variants import (
    Passed,
    Variants,
    primary_key,
    selected,
    varied_names,
)

_SHORTEST = 0.001  # seconds; a region's values are fresh for a moment at least
_INDEX_LIFETIME = Lifetime(expiration_time=7 * 86_400.0)
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
        if held is None or isinstance(value, Stored):
            return _found(Place(primary, primary), held)
        if isinstance(value, Variants):
            return self._variant(request, primary, value)
        passed = value.reason if isinstance(value, Passed) else None
        return Found(Place(primary, primary), passed=passed if held.is_fresh else None)

    def _variant(self, request: Request, primary: str, variants: Variants) -> Found:
        chosen = selected(variants.varied, request.headers, self._policy.normalise)
        key = variants.key(primary, chosen)
        place = Place(primary, key, variants, chosen)
        if chosen not in variants.known:
            return Found(place)
        return _found(place, self.region.hold(key, stale=True))

    def cached(self, stored: Stored) -> Cached[Any]:
        """Give a response with the lifetime that it has for the region."""
        if_error = stored.stale_if_error
        asked_about = _KEPT_TO_ASK if questions(stored) else 0.0
        kept = max(stored.stale_while_revalidate, if_error, asked_about)
        return Cached(
            stored,
            expiration_time=max(_SHORTEST, stored.lifetime - stored.initial_age),
            stale_while_revalidate=stored.stale_while_revalidate,
            stale_if_error=kept,
            keep_for=kept,
            tags=stored.tags,
        )

    def keep(
        self, request: Request, found: Place, stored: Stored, lease: KeyLease
    ) -> bool:
        """Store a response that has come for a request, and end the lease.

        It may vary by other fields than what was there before, or by none. It is found
        only through what lies under the URL's own key, and that is replaced only if
        nobody has removed it since.

        Returns:
            Whether it was stored.
        """
        varied = varied_names(stored.response.headers)
        was = () if found.variants is None else found.variants.varied
        if varied == was:
            return lease.commit(self.cached(stored)) and self._noted(found)
        if not varied:
            lease.release()
            return self._replaced(found, stored, self.cached(stored))
        variants = Variants.begun(varied)
        chosen = selected(varied, request.headers, self._policy.normalise)
        variants = variants.with_one(chosen, self._policy.most_variants)
        self.region.set(variants.key(found.primary, chosen), self.cached(stored))
        index = replace(self._index(variants), tags=stored.tags)
        if found.variants is None:
            return lease.commit(index)
        lease.release()
        return self._replaced(found, variants, index)

    def keep_passing(self, found: Place, reason: str, lease: KeyLease) -> None:
        """Note that responses are not stored here for a while, and end the lease."""
        passed = Cached(
            Passed(reason),
            expiration_time=self._policy.pass_for,
            stale_while_revalidate=0.0,
            keep_for=0.0,
        )
        if lease.commit(passed):
            self._noted(found)

    def _noted(self, found: Place) -> bool:
        """Have a variant be found from now on."""
        while found.variants is not None:
            held = self.region.hold(found.primary, stale=True)
            known = None if held is None else held.value
            if held is None or not isinstance(known, Variants):
                return False
            if known.generation != found.variants.generation:
                return False
            if found.chosen in known.known:
                return True
            more = known.with_one(found.chosen, self._policy.most_variants)
            if held.replace(more, lifetime=_INDEX_LIFETIME) is not None:
                return True
        return True

    def _replaced(self, found: Place, value: Any, cached: Cached[Any]) -> bool:
        """Put something else in place of the variants that were found."""
        held = self.region.hold(found.primary, stale=True)
        if held is None or held.value != found.variants:
            return False
        lifetime = cached.lifetime(self.region.lifetime)
        return held.replace(value, lifetime=lifetime) is not None

    def _index(self, variants: Variants) -> Cached[Any]:
        return Cached(variants, expiration_time=_INDEX_LIFETIME.expiration_time)

    def remove(self, target: Target) -> None:
        """Have nothing be found for a URL, nor what is under way be stored."""
        self.region.delete(primary_key(target))


def _found(place: Place, held: Held | None) -> Found:
    if held is None or not isinstance(held.value, Stored):
        return Found(place)
    return Found(place, held.value, expired=not held.is_fresh)


def check_region(region: object) -> None:
    """Refuse a region that cannot keep responses, or only in a way that runs code.

    Raises:
        ConfigurationError: It says what to do.
    """
    if not isinstance(region, Region):
        raise errors.ConfigurationError(
            f"region must be a holdover.Region, got {region!r}"
        )
    if region.is_configured and region.codec not in (None, PageCodec.tag.decode()):
        raise errors.ConfigurationError(
            f"region {region.name!r} has the codec {region.codec!r}: responses are "
            "kept with codec=holdover.wsgi.PageCodec()"
        )
