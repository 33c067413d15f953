"""A page that counts its visits, with Bottle.

Run it with ``python examples/sessions/bottle_app.py``.
"""

import sys
from wsgiref.simple_server import make_server

from bottle import Bottle, request, response

from holdover.wsgi import SessionMiddleware

pages = Bottle()


@pages.get("/")
def visits() -> str:
    session = request.environ["holdover.session"]
    session["visits"] = session.get("visits", 0) + 1
    response.content_type = "text/plain"
    return f"visit {session['visits']}\n"


@pages.post("/login/<user>")
def login(user: str) -> str:
    session = request.environ["holdover.session"]
    session.bind(user)  # under a new id; the old one leads nowhere any more
    return f"welcome, {session.user}\n"


@pages.post("/logout")
def logout() -> str:
    request.environ["holdover.session"].delete()
    return "good-bye\n"


app = SessionMiddleware(
    pages,
    {
        "store": "memory://",
        "auto": True,  # what was changed is saved without save()
        "secure": False,  # plain HTTP: for your own machine, never elsewhere
    },
)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000  # 0 finds a free one
    with make_server("127.0.0.1", port, app) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
