"""How many pages of one URL are kept.

Whoever asks chooses the request fields that pages vary by, so he could fill the store
with pages that nobody else will ever want.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from holdover import NO_VALUE, Lifetime
from holdover.contrib_django.pages.policy import site_count

if TYPE_CHECKING:
    from holdover import Region
    from holdover.contrib_django.pages.places import Place

_LOOKED_AT = 3  # pages that may have to make room for another
_NOTED_FOR = Lifetime(expiration_time=7 * 86_400.0, stale_while_revalidate=0)


def has_room(region: Region, place: Place) -> bool:
    """Note a page among those of its URL; False if there is no room for it.

    One that is not fresh any more makes room for it. Fresh ones stay: nobody drives out
    what others are served by asking for what nobody else wants.

    Raises:
        BackendError: The backend cannot be reached.
    """
    if place.index is None or not place.index.varied:
        return True  # languages and time zones are the site's own
    prefix, _, mine = place.key.rpartition(".")
    noted = f"{prefix}.variants"
    known = region.get(noted)
    if known is NO_VALUE and region.add(noted, [mine], lifetime=_NOTED_FOR):
        return True
    known = [] if known is NO_VALUE else known
    if mine in known:
        return True
    gone = None
    if len(known) >= site_count("MOST_VARIANTS"):
        gone = _gone(region, prefix, known)
        if gone is None:
            return False
        region.delete(f"{prefix}.{gone}")
    region.change(
        noted, lambda held: [*(one for one in held if one not in (gone, mine)), mine]
    )
    return True


def _gone(region: Region, prefix: str, known: list[str]) -> str | None:
    """Give one that nobody would be served, of some that are looked at."""
    for one in random.sample(known, min(_LOOKED_AT, len(known))):
        held = region.hold(f"{prefix}.{one}")
        if held is None or not held.is_fresh:
            return one
    return None
