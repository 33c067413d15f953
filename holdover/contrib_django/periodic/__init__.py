"""Periodic work: jobs that are classes, as django-cron's users write them."""

from __future__ import annotations

from holdover.contrib_django.periodic.job import PeriodicJob
from holdover.contrib_django.periodic.timetable import Schedule

__all__ = ["PeriodicJob", "Schedule"]
