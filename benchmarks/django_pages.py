"""A Django page that takes a second expires under 200 requests per second.

Prints, for Django's cache_page (in memory) and for ours (in files): how often the page
was rendered; how many requests waited for that, at first and later, once it was there;
and what the later ones took. Run: .venv/bin/python benchmarks/django_pages.py [seconds]
"""

import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import path
from django.views.decorators.cache import cache_page as django_cache_page

import holdover.contrib_django

RATE = 200  # requests per second
RENDERING = 1.0  # seconds
FRESH_FOR = 3
THREADS = 400

renders = []


def page(_request):
    """Take a second."""
    renders.append(time.monotonic())
    time.sleep(RENDERING)
    return HttpResponse(b"page")


urlpatterns = []


def install():
    """Show the page under both; decorators read the settings."""
    ours = holdover.contrib_django.cache_page(
        FRESH_FOR, cache="ours", stale_while_revalidate=60
    )
    urlpatterns.append(path("before/", django_cache_page(FRESH_FOR)(page)))
    urlpatterns.append(path("after/", ours(page)))


def measured(handler, url, seconds):
    """Ask for a page at a steady rate; give what each request took, by its begin."""
    took, lock = [], threading.Lock()

    def ask(begin):
        handler.get_response(RequestFactory().get(url)).close()
        with lock:
            took.append((begin, time.monotonic() - begin))

    begun = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        for number in range(int(RATE * seconds)):
            due = begun + number / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            pool.submit(ask, due)
    return [(begin - begun, span) for begin, span in took]


def main():
    """Measure both."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 12.0
    with tempfile.TemporaryDirectory() as folder:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=__name__,
            SECRET_KEY="benchmark",  # noqa: S106
            CACHES={
                "default": {
                    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                },
                "ours": {
                    "BACKEND": "holdover.contrib_django.RegionCache",
                    "LOCATION": f"{folder}/pages",
                },
            },
        )
        django.setup()
        install()
        handler = WSGIHandler()
        print("            renders  waited first, later     p50     p99     max")
        for name, url in (("Django's", "/before/"), ("Holdover's", "/after/")):
            renders.clear()
            print(f"{name:12}{line(measured(handler, url, seconds))}")


def line(took):
    """Say what requests took: begin and seconds of each."""
    cold = [span for at, span in took if at < FRESH_FOR]
    later = sorted(span for at, span in took if at >= FRESH_FOR)
    waited, waited_later = (
        sum(span > RENDERING / 2 for span in spans) for spans in (cold, later)
    )
    p50, p99, worst = (later[int(len(later) * part)] for part in (0.5, 0.99, 1 - 1e-9))
    spans = "".join(f"{span * 1000:8.1f}" for span in (p50, p99, worst))
    return f"{len(renders):7}{waited:14}{waited_later:7}{spans} ms"


if __name__ == "__main__":
    main()
