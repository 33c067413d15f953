"""What a backend declares of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What users and the docs' table may know of a backend before choosing it.

    Attributes:
        shared_by: Who sees the same entries: "process", "host" or "fleet".
        durable: Whether entries outlive the processes that use them.
        keeps_objects: Whether values are kept as they are, without a codec.
        bounded_by: The options that limit its size.
    """

    shared_by: str
    durable: bool
    keeps_objects: bool
    bounded_by: tuple[str, ...]
