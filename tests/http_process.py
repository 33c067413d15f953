"""One process of a site behind the HTTP response cache, for test_http_collapsing.

Reads paths from its input, asks for each of them in several threads at once, and prints
what came: a list of [text, what the cache says, seconds].
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from http_shop import ask

from holdover import LeaseTerms, make_region
from holdover.wsgi import HTTPCacheMiddleware, HTTPCachePolicy, PageCodec

URL, FOLDER, THREADS = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])


def app(environ, start_response):
    """Note who is asked; take some time; be stored unless the path says private."""
    path = environ["PATH_INFO"]
    with (FOLDER / "calls").open("a") as calls:
        calls.write(f"{path} {os.getpid()}\n")
    cache = "private" if path.startswith("/private") else "max-age=60"
    head = [("Content-Type", "text/plain"), ("Cache-Control", cache)]
    if path.startswith("/forever"):
        time.sleep(60.0)
    time.sleep(0.6)
    start_response("200 OK", head)
    return [str(os.getpid()).encode()]


region = make_region("pages").configure(
    URL, codec=PageCodec(), lease=LeaseTerms(ttl=2.0)
)
site = HTTPCacheMiddleware(app, region, policy=HTTPCachePolicy(wait=20.0))


def timed(path):
    """Ask for a page; tell how long it took."""
    begun = time.monotonic()
    reply = ask(site, path)
    return reply.text, reply.cache, time.monotonic() - begun


with ThreadPoolExecutor(THREADS) as pool:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        told = list(pool.map(timed, [line.strip()] * THREADS))
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
