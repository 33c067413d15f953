"""What a response says to caches once it depends on a session (RFC 9111).

Such a response is for one user. So it varies by the cookie, and no shared cache may
keep it, whatever the application had said of responses in general.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdover.wsgi.lists import is_sound, members

Headers = list[tuple[str, str]]

_PRIVATE = (("Vary", "Cookie"), ("Cache-Control", "private"))
_FOR_SHARED_CACHES = ("public", "s-maxage", "private")
# What outranks Cache-Control for some caches, and how they are told not to store: in
# the W3C's Edge Architecture, by Akamai and by nginx.
_OUTRANKING = {
    "surrogate-control": "no-store",
    "edge-control": "no-store",
    "x-accel-expires": "0",
}
_CONCERN_CACHES = ("vary", "cache-control", *_OUTRANKING)


def made_private(headers: Headers) -> Headers:
    """Give *headers* with ``Vary: Cookie`` and at least ``Cache-Control: private``.

    ``public`` and ``s-maxage`` are dropped, ``no-store`` and all else stays. What is
    addressed to some caches only (``CDN-Cache-Control``, RFC 9213) outranks
    Cache-Control for these, and is treated alike; ``Surrogate-Control`` and its like,
    which have no word for private, forbid to store.
    """
    if not any(map(_concerns_caches, headers)):
        return [*headers, *_PRIVATE]
    kept, varied = [], []
    controls: dict[str, list[str]] = {"cache-control": []}
    for name, value in headers:
        lowered = name.lower()
        if lowered == "vary":
            varied.append(value)
        elif lowered.endswith("cache-control"):
            controls.setdefault(lowered, []).append(value)
        else:
            kept.append((name, _OUTRANKING.get(lowered, value)))
    kept.append(("Vary", varied_by_cookie(varied)))
    for lowered, values in controls.items():
        kept.append((lowered.title().replace("Cdn-", "CDN-"), private_floor(values)))
    return kept


def _concerns_caches(header: tuple[str, str]) -> bool:
    return header[0].lower().endswith(_CONCERN_CACHES)


def varied_by_cookie(values: Sequence[str]) -> str:
    """Add Cookie to the values of Vary."""
    names = members(values)
    if not {"*", "cookie"}.isdisjoint(name.lower() for name in names):
        return ", ".join(names)
    return ", ".join([*names, "Cookie"])


def private_floor(values: Sequence[str]) -> str:
    """Forbid shared caches to store, on top of what Cache-Control says.

    RFC 9111 section 5.2.2.7: ``private="field"`` speaks of these fields only, so it is
    replaced by the unqualified form.
    """
    if not values:
        return "private"
    directives = members(values)
    if any(one.lower() == "no-store" for one in directives):
        return _listed(directives)
    kept = [
        one
        for one in directives
        if one.partition("=")[0].strip().lower() not in _FOR_SHARED_CACHES
    ]
    return _listed([*kept, "private"])


def _listed(directives: Sequence[str]) -> str:
    """Join them; nothing stands behind a quotation that some read to the line's end."""
    return ", ".join(sorted(directives, key=lambda one: not is_sound(one)))
