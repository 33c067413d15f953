"""What the visitors ask for: forty queries, the first ones far more often."""

from __future__ import annotations

from collections.abc import Sequence

QUERIES = (
    "thread lock acquire",
    "http server request",
    "json decode error",
    "regular expression compile",
    "socket timeout connect",
    "open file read",
    "abstract base class",
    "parse date format",
    "subprocess pipe output",
    "asyncio event loop",
    "email header encode",
    "cache function result",
    "dictionary update merge",
    "import module path",
    "random number generator",
    "compress data stream",
    "command line argument",
    "temporary directory cleanup",
    "sort list key",
    "xml element tree",
    "logging handler format",
    "queue worker task",
    "signal handler interrupt",
    "decimal round context",
    "url query string",
    "pickle object protocol",
    "iterator generator close",
    "test assert equal",
    "database connection cursor",
    "zip archive extract",
    "garbage collect weakref",
    "unicode normalize character",
    "process pool executor",
    "dataclass field default",
    "ssl certificate verify",
    "ftp transfer binary",
    "heap push pop",
    "terminal window size",
    "cookie session secure",
    "traceback frame format",
)


def popularity(count: int) -> Sequence[float]:
    """Weigh *count* queries by Zipf's law: the n-th is asked 1/n times as often."""
    return [1 / place for place in range(1, count + 1)]
