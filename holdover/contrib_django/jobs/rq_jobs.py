"""What django-rq's workers run: one order, carried out or dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdover import rq_jobs
from holdover.contrib_django.jobs.places import know_all_places


def refresh(message: Mapping[str, Any]) -> None:
    """Carry out *message*, if it is an order for a job of an installed application."""
    know_all_places()
    rq_jobs.refresh(message)
