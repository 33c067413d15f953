"""One request, from the look at what is stored to the answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from holdover import errors, events
from holdover.wsgi.files import is_file
from holdover.wsgi.http.asking import Asking, forwarded_for, miss
from holdover.wsgi.http.cache_status import Forwarded
from holdover.wsgi.http.clients import Newcomers
from holdover.wsgi.http.collapsing import Collapsing, Settled
from holdover.wsgi.http.invalidation import SAFE, invalidated
from holdover.wsgi.http.looking_up import why_not_looked_up
from holdover.wsgi.http.messages import Target
from holdover.wsgi.http.pages import Found, reuse_of
from holdover.wsgi.http.reuse import Reuse
from holdover.wsgi.http.serving import gateway_timeout
from holdover.wsgi.http.upstream import (
    Afterwards,
    Finish,
    Upstream,
    called,
    passing,
)


@dataclass(slots=True, kw_only=True)
class Exchange(Asking):
    """One request and what is needed to answer it."""

    collapsing: Collapsing
    newcomers: Newcomers

    def answer(self) -> Iterable[bytes]:
        """Answer from what is stored, or have the application do so."""
        request = self.request
        if request.method not in SAFE:
            return self._unsafe()
        why = why_not_looked_up(request, self.policy)
        if why is not None:
            forwarded: Forwarded = "method" if why == "method" else "bypass"
            return self.pass_by(forwarded, why)
        try:
            found = self.pages.find(request)
        except errors.BackendError:
            return self.pass_by("bypass", "backend")
        how = reuse_of(found, request)
        if found.stored is not None and how is not Reuse.NOT_WITHOUT_ASKING:
            return self.from_stored(found, found.stored, how)
        return self._not_from_stored(found)

    def _not_from_stored(self, found: Found) -> Iterable[bytes]:
        request = self.request
        if request.directives.only_if_cached:
            return gateway_timeout(request, self.start_response)
        if request.method == "HEAD":
            return self.ask_for_the_head(found)
        if "range" in request.headers:
            return self.pass_by(forwarded_for(found), None)
        if request.directives.no_store:  # it would not help those who waited for it
            return self.pass_by("request", "request-no-store")
        return self._awaited(found)

    def _awaited(self, found: Found) -> Iterable[bytes]:
        """Wait for another's answer, or for the turn to ask."""
        if found.is_new and not self.newcomers.would_admit(self.environ):
            return self._not_admitted(found)  # without so much as a lease in the store
        try:
            settled = self.collapsing.settle(self.request, found)
        except errors.BackendError:
            return self.pass_by("bypass", "backend")
        return self._settled(settled)

    def _settled(self, settled: Settled) -> Iterable[bytes]:
        """Answer a request that has waited for an answer, or for its turn."""
        found, stored = settled.found, settled.found.stored
        if settled.turn is not None:
            if found.is_new and not self.newcomers.admit(self.environ):
                settled.turn.end()
                return self._not_admitted(found)
            return self.ask(found, settled.turn)
        if stored is None:
            return self.pass_by(forwarded_for(found), found.passed)
        if settled.reuse is Reuse.NOT_WITHOUT_ASKING:
            return self.ask_alone(found, stored)
        if not settled.has_waited:  # it came between two looks
            return self.from_stored(found, stored, settled.reuse)
        return self.from_stored(
            found,
            stored,
            settled.reuse,
            forwarded="stale" if settled.reuse is Reuse.STALE else miss(found),
            collapsed=True,
        )

    def _not_admitted(self, found: Found) -> Iterable[bytes]:
        """Have nobody push all pages out of the store by asking for ever new ones."""
        refused = events.KeyRefused(
            region=self.pages.region.name or "",
            key=found.place.key,
            reason=f"{self.newcomers.name(self.environ)} asks for too many new pages",
        )
        self.pages.region.tell(refused)
        return self.pass_by(miss(found), "budget")

    def _unsafe(self) -> Iterable[bytes]:
        """Have it done, and forget what it changed (RFC 9111 section 4.4)."""
        removed: list[Target] = []

        def decide(upstream: Upstream) -> Finish:
            removed.extend(invalidated(self.request, upstream.response))
            remove()
            return passing(self.start_response, [self.status("method")])(upstream)

        def remove() -> None:
            for target in removed:
                self.pages.remove(target)

        body = called(self.app, self.environ, decide)
        if not removed or not hasattr(body, "close") or is_file(body, self.environ):
            return body
        # What it does may take effect only when it is closed, as a transaction does; by
        # then somebody may have stored what was before.
        return Afterwards(body, remove)
