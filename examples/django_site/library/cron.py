"""Periodic work: ``holdover_run`` does it when it is due; the admin has its history."""

from django.db.models import Count, Sum

from holdover.contrib_django.periodic import PeriodicJob, Schedule
from library.models import Article


class Sizes(PeriodicJob):
    """How much there is to read."""

    name = "sizes"
    schedule = Schedule(every=15)

    def do(self) -> dict[str, int]:
        return Article.objects.aggregate(articles=Count("pk"), lines=Sum("lines"))
