"""A caching reverse proxy in front of any HTTP server.

Run it with ``ORIGIN=http://127.0.0.1:8080 python examples/reverse_proxy/proxy.py``,
which waitress serves, or with any WSGI server, such as
``gunicorn --chdir examples/reverse_proxy --threads 8 proxy:application``.
PAGES says where pages are kept; several processes need a place that they share, such as
``file:///var/cache/pages`` or ``redis://localhost/0``.

What the origin says is done: ``Cache-Control: max-age=60, stale-while-revalidate=600``
keeps a page for a minute, and then serves it for ten more while one thread asks for the
next; with ``stale-if-error=86400`` it is served for a day while the origin is down.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import quote, urlsplit
from wsgiref.types import InputStream, StartResponse, WSGIEnvironment

from holdover import make_region
from holdover.wsgi import HTTPCacheMiddleware, PageCodec

TIMEOUT = 10.0  # seconds for connecting, and for each part of the answer
CHUNK = 65_536  # bytes
SAFE = "/;=,:@!$&'()*+~"

# About one connection only (RFC 9110 section 7.6.1): neither is sent on.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization"}
HOP_BY_HOP |= {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


OWN = {"HTTP_EXPECT", "HTTP_X_FORWARDED_FOR"}  # answered, and written, here


class ReverseProxy:
    """Hands each request on to another server, and its answer back.

    Args:
        origin: The server's URL.
    """

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SystemExit(f"ORIGIN must be an http(s) URL, got {origin!r}")
        self._host, self._port = parts.hostname, parts.port
        self._connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._base = parts.path.rstrip("/")

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer as the origin does; with 502 or 504 if it does not."""
        connection = self._connect(self._host, self._port, timeout=TIMEOUT)
        try:
            response = self._asked(connection, environ)
        except (OSError, HTTPException) as problem:
            connection.close()
            return failed(start_response, problem)
        status = f"{response.status} {response.reason}"
        start_response(status, end_to_end(response.getheaders()))
        return Body(connection, response)

    def _asked(
        self, connection: HTTPConnection, environ: WSGIEnvironment
    ) -> HTTPResponse:
        body, length = request_body(environ)
        fields = request_fields(environ)
        if body is not None and length is not None:
            fields.append(("Content-Length", str(length)))
        connection.putrequest(
            environ["REQUEST_METHOD"],
            self._base + path_of(environ),
            skip_host=True,
            skip_accept_encoding=True,
        )
        for name, value in fields:
            connection.putheader(name, value.encode("latin-1"))
        if body is not None and length is None:
            connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders(body, encode_chunked=length is None)
        return connection.getresponse()


class Body:
    """The origin's answer, piece by piece as it comes.

    One that breaks off raises, so that the cache keeps nothing of it, and the server
    does not end it as if it were whole.
    """

    def __init__(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self._left = response.length

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._response.read1(CHUNK):
            if self._left is not None:
                self._left -= len(chunk)
            yield chunk
        if self._left:
            raise ConnectionError(f"the origin owes {self._left} bytes")

    def close(self) -> None:
        """Leave the origin, whatever it has yet to say."""
        self._connection.close()


def path_of(environ: WSGIEnvironment) -> str:
    """Give path and query as they were sent, where the server tells."""
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw and raw.startswith("/"):
        return str(raw)
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    spelled = quote(path.encode("latin-1"), safe=SAFE) or "/"
    return f"{spelled}?{query}" if query else spelled


def request_fields(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    """Give the fields that the origin gets, with the client's address among them."""
    fields = [
        (name[5:].replace("_", "-").title(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_") and name not in OWN
    ]
    if "CONTENT_TYPE" in environ:
        fields.append(("Content-Type", environ["CONTENT_TYPE"]))
    known = environ.get("HTTP_X_FORWARDED_FOR")
    client = environ.get("REMOTE_ADDR", "unknown")
    fields.append(("X-Forwarded-For", f"{known}, {client}" if known else client))
    if "HTTP_HOST" not in environ:
        fields.append(("Host", environ["SERVER_NAME"]))
    return end_to_end(fields)


def end_to_end(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Drop what is about one connection, or named by Connection."""
    named = {
        one.strip().lower()
        for name, value in fields
        if name.lower() == "connection"
        for one in value.split(",")
    }
    return [one for one in fields if one[0].lower() not in HOP_BY_HOP | named]


def request_body(
    environ: WSGIEnvironment,
) -> tuple[Iterator[bytes] | None, int | None]:
    """Give a request's body and its length, which is None until it is read."""
    stream = environ["wsgi.input"]
    said = environ.get("CONTENT_LENGTH")
    if said:
        return pieces(stream, int(said)), int(said)
    if environ.get("wsgi.input_terminated") and "HTTP_TRANSFER_ENCODING" in environ:
        return pieces(stream, sys.maxsize), None
    return None, None


def pieces(stream: InputStream, length: int) -> Iterator[bytes]:
    while length > 0 and (chunk := stream.read(min(CHUNK, length))):
        length -= len(chunk)
        yield chunk


def failed(start_response: StartResponse, problem: Exception) -> list[bytes]:
    """Tell that the origin did not answer; a stale page is better, if there is one."""
    late = isinstance(problem, TimeoutError)
    body = b"the origin does not answer\n"
    start_response(
        "504 Gateway Timeout" if late else "502 Bad Gateway",
        [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))],
    )
    return [body]


pages = make_region("pages").configure(
    os.environ.get("PAGES", "memory://"), codec=PageCodec(), runner="thread"
)
application = HTTPCacheMiddleware(
    ReverseProxy(os.environ.get("ORIGIN", "http://127.0.0.1:8080")), pages
)


if __name__ == "__main__":
    from waitress.server import create_server

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000  # 0 finds a free one
    server = create_server(application, host="127.0.0.1", port=port, threads=8)
    print(f"http://127.0.0.1:{server.effective_port}/", flush=True)
    server.run()
