"""What every middleware is given, checked in one wording."""

from __future__ import annotations

from holdover import errors


def check_middleware(app: object, environ_key: object) -> None:
    """Refuse what is no application, or no place in the environ.

    Raises:
        ConfigurationError: It says what was wanted, and what was found.
    """
    if not callable(app):
        raise errors.ConfigurationError(f"app must be a WSGI application, got {app!r}")
    if not environ_key or not isinstance(environ_key, str):
        raise errors.ConfigurationError(f"environ_key is a text, got {environ_key!r}")
