"""What all processes of one phase must know, handed down in their environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_DIRECTORY = "HOLDOVER_DEMO_DIRECTORY"
_EXPIRATION_TIME = "HOLDOVER_DEMO_EXPIRATION_TIME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where a phase keeps its files, and how long its values are fresh.

    Attributes:
        directory: A directory of this phase alone.
        expiration_time: Seconds for which a search result is fresh.
    """

    directory: Path
    expiration_time: float

    @classmethod
    def from_environment(cls) -> Settings | None:
        """Read what `to_environment` wrote; None outside of a demonstration."""
        if _DIRECTORY not in os.environ:
            return None
        return cls(
            directory=Path(os.environ[_DIRECTORY]),
            expiration_time=float(os.environ[_EXPIRATION_TIME]),
        )

    def to_environment(self) -> dict[str, str]:
        """Give the environment variables for the processes of the phase."""
        return {
            _DIRECTORY: str(self.directory),
            _EXPIRATION_TIME: str(self.expiration_time),
        }

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
