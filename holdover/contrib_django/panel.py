"""A panel for django-debug-toolbar: what regions did while a page was made."""

from __future__ import annotations

import time
import weakref
from collections import Counter
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, fields
from typing import Any

from debug_toolbar.panels import Panel
from django.utils.translation import gettext_lazy, ngettext

from holdover import Region
from holdover.contrib_django.caches.known import known_regions
from holdover.events import Event, Hit, Missed, Problem, StaleServed
from holdover.regions.forks import ForkSafeLock

_MOST = 500  # events that are shown of a page
_LONGEST = 200  # characters of a key, or of what an event says
_WORDS: dict[type[Event], str] = {Hit: "HIT", Missed: "MISS", StaleServed: "STALE"}


@dataclass(slots=True)
class _Heard:
    """What happened during a request; its threads may write at the same time."""

    begun_at: float = field(default_factory=time.perf_counter)
    counts: Counter[str] = field(default_factory=Counter)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, event: Event) -> None:
        word = _WORDS.get(type(event), type(event).__name__)
        self.counts[word] += 1
        if len(self.rows) < _MOST:
            after = (time.perf_counter() - self.begun_at) * 1000
            self.rows.append(
                {
                    "after": f"{after:.2f}",
                    "word": word,
                    "region": event.region,
                    "key": event.key[:_LONGEST],
                    "more": _more(event)[:_LONGEST],
                    "is_problem": isinstance(event, Problem),
                }
            )


_heard: ContextVar[_Heard | None] = ContextVar("holdover_panel", default=None)
_lock = ForkSafeLock()  # guards _listened_to
_listened_to: weakref.WeakSet[Region] = weakref.WeakSet()


class RegionPanel(Panel):
    """What regions told while the page was made: hits, misses, stale values, creators.

    ::

        DEBUG_TOOLBAR_PANELS = [..., "holdover.contrib_django.panel.RegionPanel"]

    What the request's own thread or task did, and those that it waited for; refreshes
    in the background are nobody's. Regions are those of the project's registry
    and CACHES.
    """

    is_async = True
    title = gettext_lazy("Regions")
    template = "holdover/panel.html"

    _token: Token[_Heard | None] | None = None

    @property
    def nav_subtitle(self) -> str:
        """Sum up, in the side bar."""
        told = _untyped(self).get_stats()
        number = told.get("total", 0)
        said = ngettext("%d event", "%d events", number) % number
        return ", ".join([said, *(f"{n} {word}" for word, n in told.get("counts", []))])

    def enable_instrumentation(self) -> None:
        """Listen from now on, in this thread or task."""
        _listen()
        self._heard = _Heard()
        self._token = _heard.set(self._heard)

    def disable_instrumentation(self) -> None:
        """Listen no more."""
        if self._token is not None:
            _heard.reset(self._token)
            self._token = None

    def generate_stats(self, request: Any, response: Any) -> None:
        """Keep what was heard."""
        heard = self._heard
        _untyped(self).record_stats(
            {
                "total": heard.counts.total(),
                "counts": heard.counts.most_common(),
                "rows": heard.rows,
                "most": _MOST,
            }
        )


def _untyped(panel: Any) -> Any:
    """Give the panel as what the toolbar's own methods, which have no types, are."""
    return panel


def _listen() -> None:
    """Listen to the regions that there are by now, each once and for good.

    A listener that comes and goes with requests would be lost where two come at once.
    """
    with _lock.held:
        for known in known_regions():
            if known.region not in _listened_to:
                _listened_to.add(known.region)
                known.region.listen(_hear)


def _hear(event: Event) -> None:
    heard = _heard.get()
    if heard is not None:
        heard.add(event)


def _more(event: Event) -> str:
    """Give what an event says besides its region and key."""
    said = (
        (one.name, getattr(event, one.name))
        for one in fields(event)
        if one.name not in ("region", "key")
    )
    return ", ".join(
        f"{name} {value:.4g} s" if isinstance(value, float) else f"{name} {value}"
        for name, value in said
        if value is not None and value is not False
    )
