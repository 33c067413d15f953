# ruff: noqa: PLC0415 - each subject imports its own library only
"""The applications that ``http_cache.py`` has served by gunicorn.

SUBJECT says which: "bare", "holdover" (its pages in STORE), or "django" (its per-site
cache in STORE).
"""

import os
import time

PAGE = b"<p>" + b"news " * 2046 + b"</p>\n"  # 10 KB
FIELDS = [("Content-Type", "text/html; charset=utf-8"), ("ETag", '"one"')]
FIELDS += [("Content-Length", str(len(PAGE)))]
SLOW_FOR = 1.0  # seconds that a page at /slow takes to make
VARIED = {"/varied": [("Vary", "Accept-Encoding")]}
LASTS = {"/slow": "max-age=1, stale-while-revalidate=60"}


def bare(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(SLOW_FOR)
    said = ("Cache-Control", LASTS.get(path, "max-age=3600"))
    start_response("200 OK", [*FIELDS, *VARIED.get(path, ()), said])
    return [PAGE]


def holdover_in(store):
    from holdover import make_region
    from holdover.wsgi import HTTPCacheMiddleware, PageCodec

    # Memory keeps pages as they are.
    codec = None if store == "memory://" else PageCodec()
    region = make_region("pages").configure(store, codec=codec, runner="thread")
    return HTTPCacheMiddleware(bare, region)


def django_in(store):
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    kind = "redis.RedisCache" if store.startswith("redis") else "locmem.LocMemCache"
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=(path("page", lambda _: HttpResponse(PAGE)),),
        CACHE_MIDDLEWARE_SECONDS=3600,
        CACHES={
            "default": {
                "BACKEND": f"django.core.cache.backends.{kind}",
                "LOCATION": store,
            }
        },
        MIDDLEWARE=[
            "django.middleware.cache.UpdateCacheMiddleware",
            "django.middleware.common.CommonMiddleware",  # tells the length
            "django.middleware.cache.FetchFromCacheMiddleware",
        ],
    )
    django.setup()
    return get_wsgi_application()


MAKERS = {"bare": lambda _: bare, "holdover": holdover_in, "django": django_in}

if "SUBJECT" in os.environ:
    application = MAKERS[os.environ["SUBJECT"]](os.environ.get("STORE", ""))
