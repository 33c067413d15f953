"""Both backends keep the port's promises."""

import pytest

from holdover.regions.backends.file import FileBackend
from holdover.regions.backends.memory import MemoryBackend
from holdover.testing import BackendContract


class TestMemoryBackend(BackendContract):
    @pytest.fixture
    def backend(self, clock):
        return MemoryBackend({"time_source": clock})


class TestFileBackend(BackendContract):
    @pytest.fixture
    def backend(self, tmp_path, clock):
        return FileBackend({"path": tmp_path / "cache", "time_source": clock})

    @pytest.fixture
    def peer(self, tmp_path, clock):
        return FileBackend({"path": tmp_path / "cache", "time_source": clock})
