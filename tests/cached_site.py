"""A site that has used its regions before a server makes its processes.

The environment variable CACHE says, as JSON, how its object cache is configured.
"""

import itertools
import json
import os
from wsgiref.util import setup_testing_defaults

from holdover.wsgi import CacheMiddleware

numbers = itertools.count(1)


def made():
    """Say who has made this, and which of his makings it was."""
    return f"{os.getpid()}:{next(numbers)}"


def site(environ, start_response):
    """Show who answers, and what is kept: for a region, and for a namespace."""
    kept = environ["holdover.cache"].region("short").get_or_create("page", made)
    letters = environ["beaker.cache"].get_cache("letters", expire=600)
    text = f"{os.getpid()} {kept} {letters.get('a', createfunc=made)}\n"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode()]


def used(app):
    """Answer one request."""
    environ = {}
    setup_testing_defaults(environ)
    assert b"".join(app(environ, lambda *_: None))
    return app


application = used(CacheMiddleware(site, json.loads(os.environ["CACHE"]), beaker=True))
