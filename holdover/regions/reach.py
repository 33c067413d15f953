"""Whether those who are to refresh a region can find it, and what it caches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from holdover.regions.cached import CachedFunction
from holdover.regions.errors import ConfigurationError
from holdover.regions.ordering import Chain


def check_reach(region: str | None, backend: Any, chain: Chain) -> None:
    """Refuse a runner that could never find or reach the region.

    Raises:
        ConfigurationError: It says what to use instead.
    """
    capabilities = getattr(backend, "capabilities", None)
    for runner in chain.runners:
        if runner.takes_orders and region is None:
            raise ConfigurationError(
                f"a region needs a name to be refreshed by {runner.name!r}, whose "
                "worker finds it by name: make_region('...')"
            )
        if (
            runner.leaves_process
            and getattr(capabilities, "shared_by", "") == "process"
        ):
            raise ConfigurationError(
                f"{type(backend).__name__} is not shared between processes, so the "
                f"worker process of {runner.name!r} could not refresh it: use "
                "'holdover.file', 'holdover.redis', or the runner 'thread'"
            )


def check_functions(
    chain: Chain, functions: Iterable[CachedFunction[Any, Any]]
) -> None:
    """Refuse functions that a queue's worker could not find, or a queue not take.

    Raises:
        UnimportableFunction: It says which, and why.
        ConfigurationError: A queue does not understand the options of one.
    """
    functions = list(functions)
    for cached in functions:
        if not callable(cached.task_options):
            chain.check_task_options(cached.task_options)
    for runner in chain.runners:
        if runner.takes_orders:
            for cached in functions:
                cached.check_can_travel(
                    runner.name, leaves_process=runner.leaves_process
                )
