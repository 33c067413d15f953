"""What happens in a region; see `holdover.regions.events`."""

from holdover.regions.events import *  # noqa: F403 - exactly what __all__ names there
from holdover.regions.events import __all__ as __all__  # noqa: PLC0414 - re-exported
