"""`inline`: the caller who finds a value stale makes the next one himself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdover.regions.refresh.base import Execute, Job


class InlineRunner:
    """Carries a refresh out at once, in the calling thread."""

    name = "inline"
    takes_orders = False
    leaves_process = False
    is_eager = True

    def bind(self, execute: Execute) -> None:
        """Nothing to keep: a job knows how to carry itself out."""

    def submit(self, job: Job) -> None:
        """Carry *job* out before returning."""
        job.carry_out()
