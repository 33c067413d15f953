"""dogpile.cache's tests for backends, on the backends of Holdover.

Copied beside its own tests for a run, since its fixtures want its configuration.
"""

from pathlib import Path
from typing import ClassVar

from dogpile.cache import register_backend
from dogpile.testing.fixtures import (
    _GenericBackendTestSuite,
    _GenericSerializerTestSuite,
)

register_backend("holdover.memory", "holdover.regions.backends.memory", "MemoryBackend")
register_backend("holdover.file", "holdover.regions.backends.file", "FileBackend")


class OurMemoryTest(_GenericBackendTestSuite):
    backend = "holdover.memory"
    config_args: ClassVar = {"arguments": {"max_entries": 1000}}


class OurFileTest(_GenericBackendTestSuite):
    backend = "holdover.file"
    config_args: ClassVar = {"arguments": {"path": str(Path.cwd() / "cache")}}


class OurSerializerTest(_GenericSerializerTestSuite, OurFileTest):
    pass
