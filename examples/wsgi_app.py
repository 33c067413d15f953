"""A WSGI application that finds its cache in the environ.

Run it with ``python examples/wsgi_app.py``, or any WSGI server with
``wsgi_app:application``.
"""

import sys
import time
from collections.abc import Iterable
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from holdover.wsgi import CacheMiddleware


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    weather = environ["holdover.cache"].region("weather")
    city = environ["PATH_INFO"].strip("/") or "Utrecht"
    report = weather.get_or_create(city, lambda: observe(city))
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [report.encode()]


def observe(city: str) -> str:
    time.sleep(1)  # stands for a slow service
    return f"{city} at {time.strftime('%H:%M:%S')}: light rain\n"


application = CacheMiddleware(
    app,
    {
        "defaults": {"backend": "holdover.memory", "runner": "thread"},
        "weather": {"expiration_time": 10},
    },
)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000  # 0 finds a free one
    with make_server("127.0.0.1", port, application) as server:
        print(f"http://127.0.0.1:{server.server_port}/Utrecht", flush=True)
        server.serve_forever()
