"""What RQ's workers run: one order, carried out or dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rq import get_current_job

from holdover.regions.worker import carry_out


def refresh(message: Mapping[str, Any]) -> None:
    """Carry out *message*, if it is an order for what this worker knows."""
    job = get_current_job()
    carry_out(message, None if job is None else job.id)
