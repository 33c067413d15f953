"""``manage.py worker``: Celery's worker, for a site that has a broker."""

from django.conf import settings
from django.core.management import BaseCommand, CommandError


class Command(BaseCommand):
    """Refreshes what web processes and the scheduler order."""

    help = "Carry out refreshes, as Celery's worker. BROKER_URL says where they come."

    def handle(self, **_options: object) -> None:
        if not settings.BROKER:
            raise CommandError("without BROKER_URL, threads refresh: there is no queue")
        from celery_app import app  # noqa: PLC0415 - only who has a broker has Celery

        app.worker_main(["worker", "--pool=threads", "--concurrency=2", "-lINFO"])
