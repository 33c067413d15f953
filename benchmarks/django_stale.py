"""A page of Django's that expires under load, without and with stale serving.

    python benchmarks/django_stale.py

Printed is how often the view ran once its page had expired, how many requests waited
for it, and how many there were.
"""

from __future__ import annotations

import tempfile
import threading
import time
from functools import partial

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.views.decorators.cache import cache_page

VISITORS = 20
TIMEOUT = 3  # seconds until the page expires
LASTS = 4.5  # seconds for which visitors keep coming, from when it was made
TAKES = 1.0  # seconds

CACHES: dict[str, dict[str, object]] = {
    "without": {},
    "STALE_WHILE_REVALIDATE=3600": {"STALE_WHILE_REVALIDATE": 3600},
}


def slow(renders: list[float], _request: HttpRequest) -> HttpResponse:
    """Make the page, which takes its time."""
    renders.append(time.monotonic())
    time.sleep(TAKES)
    return HttpResponse("page")


def visit(view, until: float, waits: list[float]) -> None:
    """Ask for the page again and again, as a thread of a server would."""
    while (begun := time.monotonic()) < until:
        view(RequestFactory().get("/page")).close()  # which ends the request
        waits.append(time.monotonic() - begun)
        time.sleep(0.01)


def load(alias: str) -> str:
    """Have the page expire under load, in one of the caches; tell of it."""
    renders: list[float] = []
    waits: list[float] = []
    view = cache_page(TIMEOUT, cache=alias)(partial(slow, renders))
    view(RequestFactory().get("/page"))
    renders.clear()
    until = time.monotonic() + LASTS
    visitors = [
        threading.Thread(target=visit, args=(view, until, waits))
        for _ in range(VISITORS)
    ]
    for one in visitors:
        one.start()
    for one in visitors:
        one.join()
    waited = sum(wait >= TAKES for wait in waits)
    return f"{len(renders):7}  {waited:10}  {len(waits):6}"


def main() -> None:
    """Measure all."""
    with tempfile.TemporaryDirectory() as folder:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            CACHES={
                alias: {
                    "BACKEND": "holdover.contrib_django.RegionCache",
                    "LOCATION": f"{folder}/{number}",
                    "OPTIONS": options,
                }
                for number, (alias, options) in enumerate(CACHES.items())
            },
            SECRET_KEY="measured",  # noqa: S106
        )
        django.setup()
        print(f"{'':27}  renders  waited 1 s  served")
        for alias in CACHES:
            print(f"{alias:27}  {load(alias)}")


if __name__ == "__main__":
    main()
