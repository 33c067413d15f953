"""A page that counts its visits, with Pyramid's ``request.session``.

Run it with ``python examples/sessions/pyramid_app.py``.
"""

import sys
from wsgiref.simple_server import make_server

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from holdover.wsgi import PyramidSessions


def visits(request: Request) -> Response:
    session = request.session
    session["visits"] = session.get("visits", 0) + 1
    return Response(f"visit {session['visits']}\n", content_type="text/plain")


def login(request: Request) -> Response:
    session = request.session
    session.bind(request.matchdict["user"])  # under a new id; the old one is over
    session.flash(f"welcome, {session.user}")
    return Response("\n".join(session.pop_flash()) + "\n", content_type="text/plain")


def logout(request: Request) -> Response:
    request.session.invalidate()
    return Response("good-bye\n", content_type="text/plain")


with Configurator() as config:
    config.set_session_factory(
        PyramidSessions(
            {
                "store": "memory://",
                "secure": False,  # plain HTTP: for your own machine, never elsewhere
            }
        )
    )
    for view, path in ((visits, "/"), (login, "/login/{user}"), (logout, "/logout")):
        config.add_route(view.__name__, path)
        config.add_view(view, route_name=view.__name__)
    app = config.make_wsgi_app()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000  # 0 finds a free one
    with make_server("127.0.0.1", port, app) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
