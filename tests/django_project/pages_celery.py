"""A project of its own whose pages a Celery worker makes anew.

The environment says where: PAGES_REDIS is a server, PAGES_FOLDER a directory, in which
the pages note who renders them.
"""

import os
import time
from pathlib import Path

from celery import Celery
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from django_project.settings import *  # noqa: F403
from holdover import CeleryRunner, registry
from holdover.contrib_django import cache_page

os.environ["DJANGO_SETTINGS_MODULE"] = __name__

FOLDER = Path(os.environ["PAGES_FOLDER"])
PATIENT = "?socket_timeout=5&socket_connect_timeout=5"  # on a busy machine
app = Celery("pages", broker=os.environ["PAGES_REDIS"])
app.autodiscover_tasks()
registry.configure(
    {
        "pages": {
            "backend": os.environ["PAGES_REDIS"] + PATIENT,
            "secret": "a secret of the tests",
            "runner": CeleryRunner(app, publish_timeout=5.0),
            "lease": {"ttl": 2.0},
            "orders": {"queue_wait": 4.0},
        }
    }
)
CACHES = {
    "default": {
        "BACKEND": "holdover.contrib_django.RegionCache",
        "LOCATION": "region://pages",
    },
}
ROOT_URLCONF = __name__


def page(_request, name):
    """Note who renders, and say how many have; while "held" is there, take longer."""
    with (FOLDER / name).open("a") as notes:
        notes.write(f"{os.getpid()}\n")
    number = len((FOLDER / name).read_text().split())
    while (FOLDER / "held").exists() and number > 1:
        time.sleep(0.01)
    return HttpResponse(str(number))


urlpatterns = [
    path("", lambda _request: HttpResponse("ready")),
    path("<name>/", cache_page(0.5, stale_while_revalidate=600)(page)),
]

wsgi = get_wsgi_application()
