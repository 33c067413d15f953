"""A page that counts its visits, with Flask's own ``session``.

Run it with ``python examples/sessions/flask_app.py``.
"""

import sys
from wsgiref.simple_server import make_server

from flask import Flask, session

from holdover.wsgi import FlaskSessions

app = Flask(__name__)
app.session_interface = FlaskSessions(
    {
        "store": "memory://",
        "secure": False,  # plain HTTP: for your own machine, never elsewhere
    }
)


@app.get("/")
def visits() -> str:
    session["visits"] = session.get("visits", 0) + 1
    return f"visit {session['visits']}\n"


@app.post("/login/<user>")
def login(user: str) -> str:
    session.bind(user)  # under a new id; the old one leads nowhere any more
    return f"welcome, {session.user}\n"


@app.post("/logout")
def logout() -> str:
    session.delete()
    return "good-bye\n"


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000  # 0 finds a free one
    with make_server("127.0.0.1", port, app) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
