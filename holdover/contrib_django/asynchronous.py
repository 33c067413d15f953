"""The a-methods that Django would put together from several steps.

That is neither atomic nor quick: each step goes to a thread and back. Here the whole
goes, once. Django's own versions of all others call the synchronous method likewise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache


class AsyncMethods(BaseCache):
    """What a cache with atomic methods needs to offer them to asynchronous code."""

    async def aget_or_set(
        self,
        key: str,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - not one of the call
        version: int | None = None,
    ) -> Any:
        """See get_or_set(). *default* may be a coroutine function, too."""
        if iscoroutinefunction(default):
            default = async_to_sync(default)
        return await sync_to_async(self.get_or_set)(key, default, timeout, version)

    async def aincr(self, key: str, delta: int = 1, version: int | None = None) -> Any:
        """See incr()."""
        return await sync_to_async(self.incr)(key, delta, version)

    async def aincr_version(
        self, key: str, delta: int = 1, version: int | None = None
    ) -> int:
        """See incr_version()."""
        return await sync_to_async(self.incr_version)(key, delta, version)  # type: ignore[no-any-return]

    async def aget_many(
        self, keys: Iterable[str], version: int | None = None
    ) -> dict[str, Any]:
        """See get_many()."""
        return await sync_to_async(self.get_many)(keys, version)  # type: ignore[no-any-return]

    async def aset_many(
        self,
        data: Mapping[str, Any],
        timeout: Any = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - not one of the call
        version: int | None = None,
    ) -> list[str]:
        """See set_many()."""
        return await sync_to_async(self.set_many)(data, timeout, version)  # type: ignore[no-any-return]

    async def adelete_many(
        self, keys: Iterable[str], version: int | None = None
    ) -> None:
        """See delete_many()."""
        await sync_to_async(self.delete_many)(keys, version)
