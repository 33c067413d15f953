"""A page that counts its visits, as a plain WSGI application.

Run it with ``python examples/sessions/plain_app.py``, or with any WSGI server, such as
``gunicorn --chdir examples/sessions plain_app:application``. SESSION_STORE says where
sessions are kept; several processes need one that they share.
"""

import os
import sys
from collections.abc import Iterable
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from holdover.wsgi import SessionMiddleware


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    session = environ["holdover.session"]
    session["visits"] = session.get("visits", 0) + 1
    session.save()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"visit {session['visits']}\n".encode()]


application = SessionMiddleware(
    app,
    {
        "store": os.environ.get("SESSION_STORE", "memory://"),
        "secure": False,  # plain HTTP: for your own machine, never elsewhere
    },
)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000  # 0 finds a free one
    with make_server("127.0.0.1", port, application) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
