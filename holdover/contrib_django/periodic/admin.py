"""The runs of schedules in Django's admin: to be looked at, and not to be changed."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from holdover.contrib_django.models import ScheduleRun


class ScheduleRunAdmin(admin.ModelAdmin):
    """For those who may view them; nobody may write what did not happen."""

    list_display = ("name", "region", "started_at", "took", "outcome", "error_in_short")
    list_filter = ("outcome", "region", "name", "started_at")
    search_fields = ("name", "error")
    date_hierarchy = "started_at"
    show_full_result_count = False
    fields = (
        "region", "name", "due_at", "started_at", "ended_at", "took", "outcome",
        "value", "error", "details",
    )  # fmt: skip
    readonly_fields = ("took",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Leave out what nobody is shown, and may be large."""
        return super().get_queryset(request).defer("payload")

    @admin.display(description=_("took"))
    def took(self, run: ScheduleRun) -> str:
        """Give the seconds that it took."""
        return f"{(run.ended_at - run.started_at).total_seconds():.3g} s"

    @admin.display(description=_("error"))
    def error_in_short(self, run: ScheduleRun) -> str:
        """Give the beginning of its error."""
        return str(run.error)[:80]

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Nobody has."""
        return False

    def has_change_permission(
        self, _request: HttpRequest, _obj: ScheduleRun | None = None
    ) -> bool:
        """Nobody has; whoever may view can view."""
        return False

    def has_delete_permission(
        self, _request: HttpRequest, _obj: ScheduleRun | None = None
    ) -> bool:
        """Nobody has: schedules forget by themselves."""
        return False
