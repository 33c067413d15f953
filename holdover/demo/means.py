"""What a run of the demonstration works with: a cache, and maybe a broker."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from holdover.demo.errors import WrongOption

FILE, MEMORY, REDIS = "file", "memory", "redis"
_REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
_BROKER_SCHEMES = ("redis", "rediss", "amqp", "amqps")
_DEFAULT_WORKERS = 1
_BACKENDS = (
    "file, memory, or a URL that a region can be configured with, such as "
    "redis://localhost:6379/0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Where all processes of a run keep values, and who refreshes them.

    Attributes:
        run: A name that no other run has; it parts names on servers that are shared.
        backend: "file" and "memory" for places of the run's own, or a URL.
        broker: The URL of a Celery broker; None if the site keeps its own worker.
        workers: How many worker processes that broker serves.
        secret: Signs what is kept on a server.
    """

    run: str = "search"
    backend: str = FILE
    broker: str | None = None
    workers: int = 0
    secret: str = ""

    @classmethod
    def of(
        cls, backend: str = FILE, broker: str | None = None, workers: int | None = None
    ) -> Self:
        """Make those of a new run of what the user asked for.

        Args:
            backend: "file", "memory" or a URL for ``Region.configure``.
            broker: The URL of a Redis or RabbitMQ server, or None.
            workers: How many worker processes *broker* serves; None means one.

        Raises:
            WrongOption: One of them is impossible, or they do not go together.
        """
        if broker is None and workers is not None:
            raise WrongOption("--workers says how many there are for a --broker")
        run = f"holdover-demo-{secrets.token_hex(6)}"
        means = cls(
            run=run,
            backend=_checked_backend(backend, run),
            broker=broker,
            workers=0 if broker is None else (workers or _DEFAULT_WORKERS),
            secret=secrets.token_hex(16),
        )
        _check_broker(means)
        return means

    @property
    def is_own(self) -> bool:
        """Whether values are kept where nobody else's are, and nothing stays."""
        return self.backend in (FILE, MEMORY)

    @property
    def kind(self) -> str:
        """What the backend is: "file", "memory", "redis", or another URL's scheme."""
        scheme = self.backend.partition("://")[0].lower()
        return REDIS if scheme in _REDIS_SCHEMES else scheme


def _checked_backend(backend: str, run: str) -> str:
    if "://" not in backend and backend not in (FILE, MEMORY):
        raise WrongOption(f"--backend cannot be {backend!r}: it may be {_BACKENDS}")
    return _with_own_folder(backend, run) if backend.startswith("file://") else backend


def _with_own_folder(url: str, run: str) -> str:
    """Name a folder of the run's own in the user's, to be removed as a whole."""
    start, _, query = url.partition("?")
    scheme, _, place = start.partition("://")
    if not place.partition("/")[2].strip("/"):
        return url  # names no folder, which the region will say
    return f"{scheme}://{place.rstrip('/')}/{run}{query and '?' + query}"


def _check_broker(means: Means) -> None:
    if means.broker is None:
        return
    if "://" not in means.broker or _scheme(means.broker) not in _BROKER_SCHEMES:
        raise WrongOption(
            f"--broker must be a URL that begins with {_either(_BROKER_SCHEMES)}"
        )
    if means.kind == MEMORY:
        raise WrongOption(
            "--broker needs a backend that its workers share, and memory is the site's "
            "own: use --backend file or --backend redis://..."
        )


def _scheme(url: str) -> str:
    """Give what *url* begins with; an empty text if it cannot be read."""
    try:
        _ = urlsplit(url).port  # a wrong one is no matter for the network
    except ValueError:
        return ""
    return url.partition("://")[0]


def _either(schemes: Sequence[str]) -> str:
    return " or ".join(f"{scheme}://" for scheme in schemes)
