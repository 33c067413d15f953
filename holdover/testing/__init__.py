"""Tools to test what is built on Holdover, and backends written for it.

The public names are loaded when they are first used: only the contract needs pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdover.testing import toxics
    from holdover.testing.chaos_backend import ChaosBackend
    from holdover.testing.chaos_codec import ChaosCodec
    from holdover.testing.chaos_runner import ChaosRunner
    from holdover.testing.clock import FakeClock
    from holdover.testing.contract import BackendContract
    from holdover.testing.contract_troubles import Troubles
    from holdover.testing.oracle import Findings, Oracle, hammer
    from holdover.testing.proxy import ProxyFailed, ToxicProxy

__all__ = [
    "BackendContract",
    "ChaosBackend",
    "ChaosCodec",
    "ChaosRunner",
    "FakeClock",
    "Findings",
    "Oracle",
    "ProxyFailed",
    "ToxicProxy",
    "Troubles",
    "hammer",
    "toxics",
]

_HOMES = {
    "BackendContract": "contract",
    "ChaosBackend": "chaos_backend",
    "ChaosCodec": "chaos_codec",
    "ChaosRunner": "chaos_runner",
    "FakeClock": "clock",
    "Findings": "oracle",
    "Oracle": "oracle",
    "ProxyFailed": "proxy",
    "ToxicProxy": "proxy",
    "Troubles": "contract_troubles",
    "hammer": "oracle",
}


def __getattr__(name: str) -> Any:
    if name == "toxics":
        return import_module("holdover.testing.toxics")
    if name not in _HOMES:
        raise AttributeError(f"module 'holdover.testing' has no attribute {name!r}")
    return getattr(import_module(f"holdover.testing.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
