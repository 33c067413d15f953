"""Sessions as Beaker writes them, made by Beaker itself."""

import http.cookies
import warnings

from beaker.exceptions import BeakerWarning
from beaker.middleware import SessionMiddleware as BeakerMiddleware

COOKIE = "beaker.session.id"
KEYS = {"validate_key": "a key to sign by", "encrypt_key": "a key to encrypt by"}


def prefixed(options):
    """Give Beaker's options as an ini file has them."""
    return {f"session.{name}": value for name, value in options.items()}


def asked(options, cookie, use):
    """Send a request to an application of Beaker's; give the cookies that it set."""
    got = []

    def app(environ, start_response):
        use(environ["beaker.session"])
        start_response("200 OK", [])
        return []

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BeakerWarning)
        made = BeakerMiddleware(app, prefixed(options))
        made({"HTTP_COOKIE": cookie}, lambda status, headers, *exc: got.extend(headers))
    return [value for name, value in got if name == "Set-cookie"]  # as it spells it


def left_by_beaker(options, fields):
    """Have Beaker keep a session; give the Cookie header of its browser."""

    def use(session):
        session.update(fields)
        session.save()

    [made] = asked(options, "", use)
    [(name, morsel)] = http.cookies.SimpleCookie(made).items()
    return f"{name}={morsel.coded_value}"


def found_by_beaker(options, cookie):
    """Ask Beaker what is in a session."""
    found = {}
    asked(options, cookie, found.update)
    return {name: value for name, value in found.items() if name[0] != "_"}
