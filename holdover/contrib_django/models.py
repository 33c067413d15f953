"""What Holdover keeps in the database, and what Django's admin knows of regions."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ScheduleRun(models.Model):
    """One run of a schedule.

    Written by `DatabaseRuns` alone, which also forgets what is more than a schedule's
    ``history``; ``region.history(name)`` reads it.
    """

    class Outcome(models.TextChoices):
        """How a run ended."""

        OK = "ok", _("ok")
        FAILED = "failed", _("failed")

    region = models.CharField(_("region"), max_length=200)
    name = models.CharField(_("schedule"), max_length=200)
    due_at = models.DateTimeField(_("due"))
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices)
    value = models.TextField(_("value"), blank=True)
    error = models.TextField(_("error"), blank=True)
    details = models.TextField(_("details"), blank=True)
    payload = models.BinaryField(null=True)

    class Meta:
        """Newest first, as they were written."""

        ordering = ("-id",)
        verbose_name = _("run of a schedule")
        verbose_name_plural = _("runs of schedules")
        indexes = [
            models.Index(fields=["region", "name", "-id"], name="holdover_run_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.region}/{self.name}, {self.started_at:%Y-%m-%d %H:%M:%S}"


class Region(models.Model):
    """A region, as the admin's permissions and its log name it; there is no table.

    ``holdover.view_region`` lets a member of the staff see figures and look at keys,
    ``holdover.change_region`` invalidate and see values.
    """

    name = models.CharField(max_length=255, primary_key=True)

    class Meta:
        """No table: regions are made by the application."""

        managed = False
        default_permissions = ("view", "change")
        verbose_name = _("region")
        verbose_name_plural = _("regions")

    def __str__(self) -> str:
        return str(self.name)
