"""How an application uses Holdover: a region, a decorated function, a configuration.

The web process and the Celery worker processes all import this module, and so have the
same region: the one serves what the others make.
"""

from __future__ import annotations

from dataclasses import asdict

from celery import Celery, current_task

from holdover import CeleryRunner, Report, make_region
from holdover.demo import broker, journal, stores
from holdover.demo.answers import Answer, make_answer_in_task
from holdover.demo.corpus import standard_library
from holdover.demo.means import MEMORY, Means
from holdover.demo.settings import Settings

settings = Settings.from_environment()
means = Means() if settings is None else settings.means
region = make_region(means.run)


@region.cache_on_arguments()
def search(query: str) -> Answer:
    """Search the standard library, or give what was found a while ago."""
    task_id = current_task.request.id if current_task else None
    return make_answer_in_task(query, task_id)


def _note(report: Report) -> None:
    if settings is not None:
        journal.append(settings.refreshes, asdict(report))


def _runner(app: Celery | None) -> CeleryRunner:
    """Have refreshes made by the app's workers, or else by one of the site's own."""
    if app is not None:
        return CeleryRunner(app, on_outcome=_note)
    if means.kind == MEMORY:  # which no other process sees
        return CeleryRunner(on_outcome=_note)
    return CeleryRunner(worker="process", include=[__name__], on_outcome=_note)


app = None if means.broker is None else broker.app_of(means)
runner = _runner(app)

if settings is not None:
    standard_library()  # read now, not for the first order
    region.configure(
        expiration_time=settings.expiration_time,
        runner=runner,
        **stores.where(settings),
    )
