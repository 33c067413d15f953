"""The web process: it makes a report once, and workers make all later ones.

Start it with its worker, ``honcho start`` or any other that reads a ``Procfile``.
"""

import os
from collections.abc import Iterable
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import shop


def application(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    text, made_by = shop.report(environ["PATH_INFO"].strip("/") or "Utrecht")
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text} (made by process {made_by})\n".encode()]


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))  # 0 finds a free one
    with make_server("127.0.0.1", port, application) as server:
        print(f"http://127.0.0.1:{server.server_port}/Utrecht", flush=True)
        server.serve_forever()
