"""What a kind of region does unless it is told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from holdover.regions.values import frozen

DEFAULT_GROUP = "default"
"""The group that calls to warm belong to."""

OWN_SECTION = "holdover"
"""The section of an ini file in which keys need no prefix."""


@frozen(kw_only=True)
class Defaults:
    """One set of defaults; `holdover` has one and `holdover.dogpile` another.

    Attributes:
        settings: For ``configure()``, where its caller does not say.
        as_dogpile: Whether keys are made by dogpile.cache's key generators and stored
            as they are, expiration times may be 0 (at once) and -1 (never), and values
            in its format are hits.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    as_dogpile: bool = False
