"""A site behind the HTTP response cache, for test_http_servers, under a real server.

The environment says where its pages are kept (PAGES), who makes stale ones anew
(RUNNER), and in which folder it notes what happens (FOLDER): what the server got, which
files were closed, and by which thread pages were made.
"""

import itertools
import os
import threading
from pathlib import Path

from holdover import make_region
from holdover.wsgi import HTTPCacheMiddleware, HTTPCachePolicy, PageCodec

FOLDER = Path(os.environ["FOLDER"])
STALE = [("Cache-Control", "max-age=10, stale-while-revalidate=600"), ("Age", "11")]
numbers = itertools.count(1)


def note(text):
    """Add a line to the notes; one write, whoever else writes."""
    with (FOLDER / "notes").open("a") as notes:
        notes.write(text + "\n")


class Noted:
    """A file that tells when it is closed; a server may still send it by itself."""

    def __init__(self, path):
        self._path = path
        self._file = (FOLDER / "content").open("rb")

    def read(self, size=-1):
        return self._file.read(size)

    def fileno(self):
        return self._file.fileno()

    def close(self):
        note(f"closed {self._path}")
        self._file.close()


def app(environ, start_response):
    """Answer by the first part of the path; other parts tell pages apart."""
    path = environ["PATH_INFO"]
    kind, head = path.split("/")[1], [("Content-Type", "text/plain")]
    if kind in ("kept", "passed"):
        size = (FOLDER / "content").stat().st_size
        cache = "max-age=600" if kind == "kept" else "no-store"
        head += [("Content-Length", str(size)), ("Cache-Control", cache)]
        start_response("200 OK", head)
        return environ["wsgi.file_wrapper"](Noted(path), 8192)
    if kind == "stale":
        by_cookie = "visitor" if "HTTP_COOKIE" in environ else "nobody"
        note(f"made {path} for {by_cookie} by {threading.current_thread().name}")
        start_response("200 OK", [*head, *STALE])
        return [str(next(numbers)).encode()]
    start_response("200 OK", head)
    return [b"hello"]


pages = make_region("pages").configure(
    os.environ["PAGES"], codec=PageCodec(), runner=os.environ["RUNNER"]
)
policy = HTTPCachePolicy(pass_for=0)
site = HTTPCacheMiddleware(app, pages, policy=policy)


def application(environ, start_response):
    """Note what the server gets: a file, or something else."""
    body = site(environ, start_response)
    wrapper = environ["wsgi.file_wrapper"]
    is_file = isinstance(body, wrapper if isinstance(wrapper, type) else Noted)
    what = "a file" if is_file else "chunks"
    note(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} is {what}")
    return body
