"""A site whose stale pages are made anew by Celery workers, which import this module.

The environment says where its broker, its cache and its notes are, and which process is
the web's: whose pages are stale when they come; "any" for each that has it say so.
"""

import os

from celery import Celery
from fleet_notes import note

from holdover import CeleryRunner, make_region
from holdover.wsgi import HTTPCacheMiddleware, PageCodec

app = Celery("http_fleet", broker=os.environ["FLEET_BROKER"], set_as_current=False)
app.conf.update(
    broker_connection_retry_on_startup=True, worker_enable_remote_control=False
)

pages = make_region("pages").configure(
    os.environ["FLEET_CACHE"], codec=PageCodec(), runner=CeleryRunner(app)
)


def application(environ, start_response):
    """Say which process makes the page; the web process's are stale when they come."""
    seen = sorted(name for name in environ if name.startswith("HTTP_"))
    note("made", [os.getpid(), seen])
    cache = "max-age=600, stale-while-revalidate=600"
    is_first = os.environ["FLEET_WEB"] in ("any", str(os.getpid()))
    head = [
        ("Content-Type", "text/plain"),
        ("Cache-Control", cache),
        ("Vary", "Accept-Language"),
        ("Age", "601" if is_first else "0"),
    ]
    start_response("200 OK", head)
    return [str(os.getpid()).encode()]


site = HTTPCacheMiddleware("http_fleet:application", pages)
