"""Holdover in Django's admin."""

from __future__ import annotations

from django.contrib import admin

from holdover.contrib_django.live.admin import RegionAdmin
from holdover.contrib_django.models import Region, ScheduleRun
from holdover.contrib_django.periodic.admin import ScheduleRunAdmin

admin.site.register(Region, RegionAdmin)
admin.site.register(ScheduleRun, ScheduleRunAdmin)
