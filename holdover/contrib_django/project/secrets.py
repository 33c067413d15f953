"""What signs for Django's users, who have a secret already."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.utils.encoding import force_bytes

_LABEL = b"holdover.contrib_django\0"


def secrets_of_django() -> tuple[str, ...]:
    """Derive secrets from SECRET_KEY, which may be short and has other uses.

    Returns:
        The one that signs, and then those of SECRET_KEY_FALLBACKS, which verify.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return tuple(hashlib.sha256(_LABEL + force_bytes(key)).hexdigest() for key in keys)
