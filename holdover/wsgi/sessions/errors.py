"""What can go wrong with a session."""

from __future__ import annotations

from holdover import errors


class SessionError(errors.HoldoverError):
    """Anything about sessions that Holdover itself raises."""


class SessionUnavailable(SessionError, errors.BackendError):
    """The backend cannot be asked, so that nobody knows whose session this is."""


class SessionTooLarge(SessionError, ValueError):
    """More is in the session than its cookie or its backend can hold."""


class SessionTooLate(SessionError, RuntimeError):
    """The headers are with the server already, and this would have to change them."""


class InsecureSessionWarning(UserWarning):
    """Session cookies are sent over plain HTTP: for development, never elsewhere."""


class BeakerSecretWarning(UserWarning):
    """Beaker signed ids by ``session.secret``, which is of no use here."""


class BeakerPickleWarning(UserWarning):
    """Sessions that Beaker has pickled are taken over: not for longer than need be."""
