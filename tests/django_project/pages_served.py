"""A project of its own for servers: pages that take a while, and count themselves.

The environment says where: PAGES_CACHE is a directory, PAGES_RENDERS a file.
"""

import asyncio
import os
import time
from pathlib import Path

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from django_project.settings import *  # noqa: F403

CACHES = {
    "default": {
        "BACKEND": "holdover.contrib_django.RegionCache",
        "LOCATION": os.environ["PAGES_CACHE"],
    },
}
HOLDOVER_PAGES = {"CACHE_STATUS": True, "STALE_WHILE_REVALIDATE": 600}
CACHE_MIDDLEWARE_SECONDS = 1
MIDDLEWARE = [*MIDDLEWARE, "holdover.contrib_django.PageCacheMiddleware"]  # noqa: F405
ROOT_URLCONF = __name__

os.environ["DJANGO_SETTINGS_MODULE"] = __name__


def rendered():
    """Note who renders, and give how many have."""
    with Path(os.environ["PAGES_RENDERS"]).open("a+") as file:
        file.write(f"{os.getpid()}\n")
        file.flush()
        file.seek(0)
        return HttpResponse(str(len(file.readlines())))


def slow(_request):
    """Take a while."""
    time.sleep(3.0)
    return rendered()


async def slow_async(_request):
    """Take a while, and no thread."""
    await asyncio.sleep(3.0)
    return rendered()


def ready(_request):
    """Say that the server answers."""
    return HttpResponse("ready", headers={"Cache-Control": "no-store"})


urlpatterns = [
    path("", ready),
    path("slow/", slow),
    path("async/", slow_async),
]
wsgi = get_wsgi_application()
asgi = get_asgi_application()
