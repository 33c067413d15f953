"""What all processes of one phase must know, handed down in their environment."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from holdover.demo.means import Means

_VARIABLE = "HOLDOVER_DEMO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where a phase keeps its files and values, and how long its values are fresh.

    Attributes:
        directory: A directory of this phase alone.
        expiration_time: Seconds for which a search result is fresh.
        means: What the whole run works with.
    """

    directory: Path
    expiration_time: float
    means: Means = field(default_factory=Means)

    @classmethod
    def from_environment(cls) -> Settings | None:
        """Read what `to_environment` wrote; None outside of a demonstration."""
        if _VARIABLE not in os.environ:
            return None
        held = json.loads(os.environ[_VARIABLE])
        return cls(
            directory=Path(held["directory"]),
            expiration_time=held["expiration_time"],
            means=Means(**held["means"]),
        )

    def to_environment(self) -> dict[str, str]:
        """Give the environment variables for the processes of the phase.

        Not a command line, which other users could read: URLs may hold passwords.
        """
        held = {**asdict(self), "directory": str(self.directory)}
        return {_VARIABLE: json.dumps(held)}

    @property
    def values(self) -> Path:
        """The directory of the file backend."""
        return self.directory / "values"

    @property
    def runs(self) -> Path:
        """The journal of creator runs, of all processes."""
        return self.directory / "runs.jsonl"

    @property
    def refreshes(self) -> Path:
        """The journal of what the Celery worker reported."""
        return self.directory / "refreshes.jsonl"
