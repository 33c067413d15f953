"""The a-methods: each the synchronous one, whole, and in a thread only if it may wait.

Django would put some together from several steps, which is neither atomic nor quick,
and has all run in the one thread of its request, where none of the connections that a
thread keeps would be found again. Here the event loop's own threads carry them out. A
default alone is run where Django runs what may use its database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import isawaitable
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import async_to_sync, sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from holdover import NO_VALUE, Region
from holdover.contrib_django.caches.entries import Entries

P = ParamSpec("P")
T = TypeVar("T")

# ruff: noqa: ASYNC109 - these timeouts are of entries, not of calls


class AsyncMethods(Entries):
    """A cache's methods for asynchronous code. See `RegionCache`.

    Context variables are those of the caller, in both directions.
    """

    async def _run(
        self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if _is_at_hand(self.region):
            return method(*args, **kwargs)
        return await sync_to_async(method, thread_sensitive=False)(*args, **kwargs)

    async def aget(
        self, key: str, default: Any = None, version: int | None = None
    ) -> Any:
        """See get()."""
        return await self._run(self.get, key, default, version)

    async def ahas_key(self, key: str, version: int | None = None) -> bool:
        """See has_key()."""
        return await self._run(self.has_key, key, version)

    async def aset(
        self,
        key: str,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        """See set()."""
        await self._run(self.set, key, value, timeout, version)

    async def aadd(
        self,
        key: str,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """See add()."""
        return await self._run(self.add, key, value, timeout, version)

    async def aget_or_set(
        self,
        key: str,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> Any:
        """See get_or_set(). *default* may be a coroutine function, too."""
        made = self.make_and_validate_key(key, version=version)
        value = await self._run(self.region.get, made)
        if value is not NO_VALUE:
            return value
        if not callable(default):
            return await self._run(self.create, made, default, timeout)
        return await sync_to_async(self.create)(made, _in_thread(default), timeout)

    async def atouch(
        self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """See touch()."""
        return await self._run(self.touch, key, timeout, version)

    async def adelete(self, key: str, version: int | None = None) -> bool:
        """See delete()."""
        return await self._run(self.delete, key, version)

    async def aincr(self, key: str, delta: int = 1, version: int | None = None) -> Any:
        """See incr()."""
        return await self._run(self.incr, key, delta, version)

    async def aincr_version(
        self, key: str, delta: int = 1, version: int | None = None
    ) -> int:
        """See incr_version()."""
        return await self._run(self.incr_version, key, delta, version)

    async def aget_many(
        self, keys: Iterable[str], version: int | None = None
    ) -> dict[str, Any]:
        """See get_many()."""
        return await self._run(self.get_many, keys, version)

    async def aset_many(
        self,
        data: Mapping[str, Any],
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        """See set_many()."""
        return await self._run(self.set_many, data, timeout, version)

    async def adelete_many(
        self, keys: Iterable[str], version: int | None = None
    ) -> None:
        """See delete_many()."""
        await self._run(self.delete_many, keys, version)

    async def aclear(self) -> None:
        """See clear()."""
        await self._run(self.clear)


def _is_at_hand(region: Region) -> bool:
    """Say whether nothing that is asked of a region can keep the event loop waiting."""
    if not region.is_configured:  # which is told without asking anybody
        return True
    capabilities = getattr(region.backend, "capabilities", None)
    return capabilities is not None and capabilities.shared_by == "process"


def _in_thread(default: Callable[[], Any]) -> Callable[[], Any]:
    """Let a thread call what may be asynchronous; the event loop runs that part."""

    def create() -> Any:
        made = default()
        if not isawaitable(made):
            return made

        async def awaited() -> Any:
            return await made

        return async_to_sync(awaited)()

    return create
