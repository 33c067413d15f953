"""Every error that Holdover raises; see `holdover.regions.errors`."""

from holdover.regions.errors import *  # noqa: F403 - exactly what __all__ names there
from holdover.regions.errors import __all__ as __all__  # noqa: PLC0414 - re-exported
