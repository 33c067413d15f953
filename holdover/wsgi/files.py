"""Bodies that are files, which a server sends by itself if nobody touches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


def is_file(body: object, environ: WSGIEnvironment) -> bool:
    """Say whether a body is a file that the server sends by itself (PEP 3333)."""
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    return wrapper is not None and hasattr(body, "read")  # uWSGI gives the file itself
