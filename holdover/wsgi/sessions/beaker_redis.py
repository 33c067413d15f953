"""Where Beaker keeps sessions in Redis."""

from __future__ import annotations

from typing import Any

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from holdover import errors
from holdover.wsgi.sessions.beaker_data import NAME
from holdover.wsgi.sessions.bounds import LARGEST_RECORD, bounded
from holdover.wsgi.sessions.errors import SessionUnavailable
from holdover.wsgi.sessions.pickles import read_plain

_PATIENCE = 1.0  # seconds for an answer


class BeakerRedis:
    """Beaker's type "ext:redis".

    Args:
        url: Beaker's ``url``.

    Raises:
        ConfigurationError: It is none.
    """

    def __init__(self, url: str) -> None:
        try:
            self._client = Redis.from_url(
                url,
                socket_timeout=_PATIENCE,
                socket_connect_timeout=_PATIENCE,
                retry=Retry(NoBackoff(), 0),
                decode_responses=False,
            )
        except ValueError as error:
            raise errors.ConfigurationError(f"Beaker's url: {error}") from error

    def read(self, session_id: str) -> Any:
        """See `BeakerStore.read`."""
        try:
            data: Any = self._client.getrange(_key(session_id), 0, LARGEST_RECORD)
        except RedisError as error:
            raise SessionUnavailable(f"Beaker's Redis: {error}") from error
        return read_plain(bounded(data)) if data else None

    def remove(self, session_id: str) -> None:
        """See `BeakerStore.remove`."""
        try:
            self._client.delete(_key(session_id))
        except RedisError as error:
            raise SessionUnavailable(f"Beaker's Redis: {error}") from error


def _key(session_id: str) -> str:
    return f"beaker_cache:{session_id}:{NAME}"
