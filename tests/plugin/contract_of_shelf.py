"""What an author of a backend runs: the contract, on his own backend."""

import pytest
from holdover_shelf import ShelfBackend

from holdover.testing import BackendContract, Troubles


class ShelfTroubles(Troubles):
    def __init__(self, path):
        self.path = path

    def restart(self):
        """Do nothing: a file does not mind."""

    def evict(self):
        """Remove it all."""
        self.path.unlink()


class TestShelfBackend(BackendContract):
    cannot = BackendContract.cannot - {"restart", "evict"}

    @pytest.fixture
    def backend(self, tmp_path, clock):
        return ShelfBackend({"path": tmp_path / "shelf", "time_source": clock})

    @pytest.fixture
    def troubles(self, tmp_path):
        return ShelfTroubles(tmp_path / "shelf")
