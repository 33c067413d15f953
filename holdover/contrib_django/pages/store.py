"""Finding pages in the region behind a cache, and keeping them there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdover import Cached, Freshness, Held, KeyLease
from holdover.contrib_django.caches.known import region_cache
from holdover.contrib_django.pages.entries import (
    Index,
    Page,
    Passed,
    as_data,
    read_entry,
)
from holdover.contrib_django.pages.places import Asker, Place, primary_key, uri_of
from holdover.contrib_django.pages.policy import PagePolicy, site_seconds
from holdover.contrib_django.pages.rules import Verdict
from holdover.contrib_django.pages.variants import has_room

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_INDEX_FOR = 7 * 86_400.0  # seconds; a new one costs the renders of its pages


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for a request.

    Attributes:
        place: Where.
        page: The page; None without one.
        freshness: What may be done with it.
        passed: Why pages are not kept there; None if they may be.
    """

    place: Place
    page: Page | None = None
    freshness: Freshness = Freshness.GONE
    passed: str | None = None

    @property
    def is_served(self) -> bool:
        """Whether it can be served without anybody's having rendered."""
        return self.freshness in (Freshness.FRESH, Freshness.STALE)

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.is_served or self.passed is not None


class Pages:
    """The pages of one policy, in its cache's region.

    Args:
        policy: The policy.

    Raises:
        ImproperlyConfigured: Its cache is none of ours.
    """

    def __init__(self, policy: PagePolicy) -> None:
        self.policy = policy
        self.cache = region_cache(policy.cache_alias)
        self.region = self.cache.region

    def primary(self, request: HttpRequest) -> str:
        """Give the key of a request's URL."""
        return primary_key(self.cache, self.policy, uri_of(request))

    # -- finding ---------------------------------------------------------------

    def find(self, request: HttpRequest) -> Found:
        """Look a request up. A HEAD is answered by what a GET was, if there is any.

        Raises:
            BackendError: The backend cannot be reached.
        """
        place = self.place(request)
        found = self._found(place)
        if request.method == "HEAD" and not found.is_served and place.index:
            of_get = self._found(place.for_get())
            return of_get if of_get.is_served else found
        return found

    def place(self, request: HttpRequest) -> Place:
        """Say where the page for a request is, or would be.

        Raises:
            BackendError: The backend cannot be reached.
        """
        return self.place_at(self.primary(request), request)

    def place_at(self, primary: str, request: HttpRequest) -> Place:
        """Say the same of the URL with the key *primary*, for who sends *request*.

        Raises:
            BackendError: The backend cannot be reached.
        """
        index = self._read(primary)[0]
        if not isinstance(index, Index):
            return Place(primary, None, Asker.of(request, ()))
        return Place(primary, index, Asker.of(request, index.varied))

    def _found(self, place: Place) -> Found:
        entry, freshness = self._read(place.key)
        if isinstance(entry, Page):
            return Found(place, entry, freshness)
        if isinstance(entry, Passed) and freshness is Freshness.FRESH:
            return Found(place, passed=entry.reason)
        return Found(place)

    def _read(self, key: str) -> tuple[Page | Passed | Index | None, Freshness]:
        held = self.region.hold(key, stale=True)
        if held is None:
            return None, Freshness.GONE
        return read_entry(held.value), held.freshness

    # -- keeping ---------------------------------------------------------------

    def keep(
        self,
        request: HttpRequest,
        response: HttpResponse,
        verdict: Verdict,
        lease: KeyLease,
        place: Place,
    ) -> bool:
        """Keep a page, or that there is none to keep, and end the lease.

        Returns:
            Whether a page was kept.
        """
        entry = self.entry(response, verdict)
        if place.index is None:
            is_kept = self._begin_index(request, entry, verdict, lease, place)
        elif set(verdict.varied) <= set(place.index.varied):
            is_welcome = verdict.against is not None or has_room(self.region, place)
            is_kept = is_welcome and lease.commit(entry)
        else:
            self.widen(place, verdict.varied)
            lease.release()
            is_kept = False
        return is_kept and verdict.against is None

    def entry(self, response: HttpResponse, verdict: Verdict) -> Cached[Any]:
        """Make of a response what stands in the region for it."""
        if verdict.against is not None:
            return passed(verdict.against)
        return Cached(
            as_data(Page.of(response, time.time(), verdict.fresh_for)),
            expiration_time=verdict.fresh_for,
            stale_while_revalidate=verdict.stale_while_revalidate,
            stale_if_error=verdict.stale_if_error,
            keep_for=0.0,
            tags=verdict.tags,
        )

    def _begin_index(
        self,
        request: HttpRequest,
        entry: Cached[Any],
        verdict: Verdict,
        lease: KeyLease,
        place: Place,
    ) -> bool:
        """Keep the first page of a URL, and by what its pages differ.

        The page comes first, so that whoever waits for the index finds it there; and it
        is found only if the lease commits the index: that has the page's tags and
        counts from when the lease was won, so nothing invalidated since is served.
        """
        index = Index.begun(verdict.varied)
        first = place.under(index, request)
        key = first.key
        self.region.set(key, entry)
        if not lease.commit(_cached(index, verdict.tags)):
            self.region.delete(key)
            return False
        held = self.region.hold(place.primary, stale=True)
        if held is None or not held.is_fresh:
            self.region.expire(key)  # as the index was, softly
        return has_room(self.region, first)

    def widen(self, place: Place, varied: tuple[str, ...]) -> None:
        """Have pages differ by more from now on; those that there are, are lost.

        What was rendered is not kept: it may have been invalidated meanwhile, and no
        lease of its new place tells. The next request renders again.
        """
        held = self._held_index(place)
        if held is not None and place.index is not None:
            wider = Index.begun(tuple(sorted({*place.index.varied, *varied})))
            held.replace(as_data(wider))

    def _held_index(self, place: Place) -> Held | None:
        held = self.region.hold(place.primary, stale=True)
        if held is None or read_entry(held.value) != place.index:
            return None
        return held


def _cached(index: Index, tags: tuple[str, ...]) -> Cached[Any]:
    return Cached(
        as_data(index),
        expiration_time=_INDEX_FOR,
        stale_while_revalidate=_INDEX_FOR,
        keep_for=0.0,
        tags=tags,
    )


def passed(reason: str) -> Cached[Any]:
    """Make what stands where pages are not kept, for a while."""
    return Cached(
        as_data(Passed(reason)),
        expiration_time=max(1e-6, site_seconds("PASS_FOR")),
        stale_while_revalidate=0.0,
        stale_if_error=0.0,
        keep_for=0.0,
    )
