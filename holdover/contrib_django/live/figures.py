"""What is told of each region, as texts for a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from holdover import Figures, errors
from holdover.contrib_django.caches.known import KnownRegion

COLUMNS = {
    "backend": gettext_lazy("Backend"),
    "counted": gettext_lazy("Counted by"),
    "lookups": gettext_lazy("Lookups"),
    "fresh": gettext_lazy("Fresh"),
    "stale": gettext_lazy("Stale"),
    "missed": gettext_lazy("Missed"),
    "created": gettext_lazy("Created"),
    "refreshed": gettext_lazy("Refreshed"),
    "failed": gettext_lazy("Failed"),
    "degraded": gettext_lazy("Left alone"),
    "answers": gettext_lazy("Answers in"),
}
PATIENCE = 1.0
"""Seconds after which no further backend is asked for one answer."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        label: The region's.
        cells: A text for each of `COLUMNS`.
        trouble: Whether its backend does not answer.
    """

    label: str
    cells: dict[str, str]
    trouble: bool

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {"label": self.label, "cells": self.cells, "trouble": self.trouble}


def rows_of(regions: Sequence[KnownRegion]) -> list[Row]:
    """Tell of regions, as it is now; of backends that hang, only of the first."""
    until = time.monotonic() + PATIENCE
    return [_row(one, asks=time.monotonic() < until) for one in regions]


def _row(known: KnownRegion, *, asks: bool) -> Row:
    if not known.region.is_configured:
        nothing = dict.fromkeys(COLUMNS, "–")  # noqa: RUF001 - as tables have it
        return Row(known.label, {**nothing, "backend": _("not configured")}, False)  # noqa: FBT003
    answers, trouble = _answer(known) if asks else (_("not asked"), False)
    counted, figures = _figures(known, asks=asks and not trouble)
    cells = {
        "backend": type(known.region.actual_backend).__name__,
        "counted": counted,
        **_shown(figures),
        "answers": answers,
    }
    return Row(known.label, {name: cells[name] for name in COLUMNS}, trouble)


def _answer(known: KnownRegion) -> tuple[str, bool]:
    try:
        return f"{known.region.ping() * 1000:.2f} ms", False
    except errors.BackendError:  # what it says may hold an address, or a password
        return _("no answer"), True
    except errors.ConfigurationError:  # one of dogpile.cache's
        return _("cannot tell"), False


def _figures(known: KnownRegion, *, asks: bool) -> tuple[str, Figures]:
    """Give what the fleet has counted, if it writes that down, else this process."""
    if asks:
        try:
            fleet = known.region.fleet_figures()
        except errors.HoldoverError:
            pass  # that row has been told already why
        else:
            if number := len(fleet.living):
                counted = ngettext("%d process", "%d processes", number) % number
                return counted, fleet.total
    return _("this process"), known.region.figures()


def _shown(figures: Figures) -> dict[str, str]:
    failed = figures.creator_failures + figures.backend_failures + figures.orders_failed
    return {
        "lookups": f"{figures.lookups:,}",
        "fresh": _share(figures.hits, figures.lookups),
        "stale": _share(figures.stale.count, figures.lookups),
        "missed": _share(figures.misses, figures.lookups),
        "created": _times(figures.created),
        "refreshed": _times(figures.refreshed),
        "failed": f"{failed:,}",
        "degraded": f"{figures.degraded_for:.0f} s",
    }


def _share(number: int, of: int) -> str:
    return f"{number:,} ({number / of:.1%})" if of else "0"


def _times(histogram: Any) -> str:
    """Say how often, and how long it took."""
    if not histogram.count:
        return "0"
    return f"{histogram.count:,} × {histogram.mean * 1000:.1f} ms"  # noqa: RUF001
