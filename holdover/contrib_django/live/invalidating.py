"""What the admin's form invalidates."""

from __future__ import annotations

from functools import partial

from holdover.contrib_django.caches.known import KnownRegion
from holdover.contrib_django.live.looking import keys_meant

KEY, TAG, PREFIX, EVERYTHING = "key", "tag", "prefix", "everything"


def invalidate(known: KnownRegion, what: str, text: str, *, soft: bool) -> None:
    """Invalidate a part of a region, or all of it, and wait until that is so.

    Args:
        known: The region.
        what: KEY (or a call with literals), TAG, PREFIX or EVERYTHING.
        text: The key, the tag or the prefix.
        soft: Whether the old values may be served until there are new ones.

    Raises:
        InvalidArgument: A function of the call's name does not take its arguments.
        BackendError: The backend cannot be reached.
        ConfigurationError: It is one of dogpile.cache's, or there is none yet.
    """
    region = known.region
    many = partial(region.invalidate, hard=not soft, strict=True)
    if what == KEY:
        one = region.expire if soft else region.delete
        for key in keys_meant(known, text):
            one(key, strict=True)
    elif what == TAG:
        many(tags=[text])
    elif what == PREFIX:
        for prefix in keys_meant(known, text):
            many(prefix=prefix)
    else:
        many()
