"""The names under which Beaker's users catch errors, for what is raised here."""

from __future__ import annotations

from holdover.errors import (
    ConfigurationError,
    HoldoverError,
    InvalidArgument,
    LeaseTimeout,
)

BeakerException = HoldoverError
"""Whatever Holdover itself raises."""

InvalidCacheBackendError = MissingCacheParameter = ConfigurationError
"""An option that cannot work; a missing library is a ``MissingDependency``, too."""

LockError = LeaseTimeout
"""Nobody had created the value when the caller's wait was over."""

__all__ = [
    "BeakerException",
    "ConfigurationError",
    "InvalidArgument",
    "InvalidCacheBackendError",
    "LockError",
    "MissingCacheParameter",
]
