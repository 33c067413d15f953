"""Telling what the cache did: ``Cache-Status`` (RFC 9211)."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import http_sf

Forwarded = Literal[
    "bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"
]
"""Why a request went to the application (section 2.2)."""


def cache_status(
    name: str,
    *,
    ttl: float | None = None,
    forwarded: Forwarded | None = None,
    status: int | None = None,
    stored: bool = False,
    collapsed: bool = False,
    detail: str | None = None,
) -> str:
    """Give the field's value for this cache.

    Args:
        name: What the cache is called.
        ttl: Seconds for which the response is fresh yet; below 0 if it is stale.
        forwarded: Why the application was asked, see `Forwarded`; None for a hit.
        status: What the application answered, if that differs from what is sent.
        stored: Whether its answer was stored.
        collapsed: Whether the request waited for another's answer.
        detail: More, for people.
    """
    said = [_item(name), "hit" if forwarded is None else f"fwd={forwarded}"]
    if status is not None:
        said.append(f"fwd-status={status}")
    if ttl is not None:
        said.append(f"ttl={int(ttl // 1)}")
    if stored:
        said.append("stored")
    if collapsed:
        said.append("collapsed")
    if detail is not None:
        said.append(f"detail={_item(detail)}")
    return ";".join(said)


@lru_cache(64)  # of names and reasons there are few; a hit saves 6 us
def _item(text: str) -> str:
    return http_sf.ser(text)
