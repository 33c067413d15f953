"""How an application uses Holdover: a region, a decorated function, a configuration.

The web process and the Celery worker process both import this module, and so have the
same region: the one serves what the other makes.
"""

from __future__ import annotations

from dataclasses import asdict

from holdover import CeleryRunner, Report, make_region
from holdover.demo import journal
from holdover.demo.answers import Answer, make_answer
from holdover.demo.corpus import standard_library
from holdover.demo.settings import Settings

settings = Settings.from_environment()
region = make_region("search")


@region.cache_on_arguments()
def search(query: str) -> Answer:
    """Search the standard library, or give what was found a while ago."""
    return make_answer(query)


def _note(report: Report) -> None:
    if settings is not None:
        journal.append(settings.refreshes, asdict(report))


runner = CeleryRunner(worker="process", include=[__name__], on_outcome=_note)

if settings is not None:
    standard_library()  # read now, not for the first order
    region.configure(
        "holdover.file",
        expiration_time=settings.expiration_time,
        arguments={"path": settings.values},
        runner=runner,
    )
