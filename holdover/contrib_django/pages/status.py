"""Telling what the cache did: ``Cache-Status`` (RFC 9211), if the site wants it."""

from __future__ import annotations

from django.http.response import HttpResponseBase

from holdover.contrib_django.pages.entries import Page
from holdover.contrib_django.pages.policy import site_setting

_NAME = "Holdover"


def hit(page: Page, now: float, *, collapsed: bool = False) -> str:
    """Say that a page was served; the time that it has yet is below 0 if it is old."""
    ttl = int((page.made_at + page.fresh_for - now) // 1)
    return f"{_NAME};hit;ttl={ttl}" + (";collapsed" if collapsed else "")


def miss(*, stored: bool = False, detail: str | None = None) -> str:
    """Say that the view was asked, and why what it answered is not kept."""
    said = f"{_NAME};fwd=miss" + (";stored" if stored else "")
    return said if detail is None else f'{said};detail="{detail}"'


def bypass(reason: str) -> str:
    """Say that the cache has nothing to do with the request."""
    return f"{_NAME};fwd={reason}"


def tell(response: HttpResponseBase, said: str) -> None:
    """Add it to what caches further in have said."""
    if not site_setting("CACHE_STATUS"):
        return
    before = response.get("Cache-Status")
    response["Cache-Status"] = said if before is None else f"{before}, {said}"
