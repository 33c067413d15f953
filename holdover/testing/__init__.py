"""Tools to test what is built on Holdover, and backends written for it."""

from holdover.testing.clock import FakeClock
from holdover.testing.contract import BackendContract
from holdover.testing.contract_troubles import Troubles
from holdover.testing.oracle import Findings, Oracle, hammer

__all__ = ["BackendContract", "FakeClock", "Findings", "Oracle", "Troubles", "hammer"]
