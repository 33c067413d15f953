"""How an application uses Holdover: a region, a decorated function, a configuration.

The web process and the Celery worker process both import this module, and so have the
same region: the one serves what the other makes.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from holdover import CeleryRunner, make_region
from holdover.demo import journal
from holdover.demo.answers import Answer, make_answer
from holdover.demo.settings import Settings

if TYPE_CHECKING:
    from holdover.regions.refresh.base import Report

region = make_region("search")


@region.cache_on_arguments()
def search(query: str) -> Answer:
    """Search the standard library, or give what was found a while ago."""
    return make_answer(query)


def configure(settings: Settings) -> None:
    """Keep results in files, and have stale ones refreshed by a worker process."""

    def note(report: Report) -> None:
        journal.append(settings.refreshes, asdict(report))

    region.configure(
        "holdover.file",
        expiration_time=settings.expiration_time,
        arguments={"path": settings.values},
        runner=CeleryRunner(worker="process", include=[__name__], on_outcome=note),
    )


if (_settings := Settings.from_environment()) is not None:
    configure(_settings)
