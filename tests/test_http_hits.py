"""What a hit of the HTTP response cache saves changes nothing that it says."""

import http_sf
import pytest

from holdover.wsgi.http.cache_status import cache_status
from holdover.wsgi.http.environ import RequestHeaders, read_request
from holdover.wsgi.http.fields import Headers
from holdover.wsgi.http.policy import Policy

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SERVER_NAME": "example.com",
    "SERVER_PORT": "80",
    "PATH_INFO": "/news",
    "wsgi.url_scheme": "http",
    "HTTP_ACCEPT_LANGUAGE": "en",
    "HTTP_X_EMPTY": "",
}


def test_request_fields_are_read_as_if_all_were():
    """Each field by itself, all in turn, and all but some."""
    headers = RequestHeaders(ENVIRON)
    listed = Headers([("accept-language", "en"), ("x-empty", "")])
    assert headers == listed
    assert hash(headers) == hash(listed)
    assert repr(headers) == repr(listed)
    for name in ("accept-language", "x-empty", "method", "server-name"):
        assert list(headers.all(name)) == list(listed.all(name))
        assert headers.joined(name) == listed.joined(name)
        assert (name in headers) == (name in listed)
    assert headers.without(["x-empty"]) == listed.without(["x-empty"])
    assert headers.without(["cookie"]) == listed


def test_what_was_asked_stays_what_it_was():
    """An application may change its environ, not what its answer is stored for."""
    environ = dict(ENVIRON)
    request = read_request(environ, Policy())
    environ["HTTP_ACCEPT_LANGUAGE"] = "nl"
    assert request.headers.joined("accept-language") == "en"


@pytest.mark.parametrize(
    ("said", "parameters"),
    [
        ({"ttl": 35.9}, {"hit": True, "ttl": 35}),
        ({"ttl": -0.5}, {"hit": True, "ttl": -1}),
        (
            {"forwarded": "uri-miss", "stored": True, "collapsed": True},
            {
                "fwd": http_sf.Token("uri-miss"),
                "stored": True,
                "collapsed": True,
            },
        ),
        (
            {"forwarded": "stale", "status": 304, "detail": 'a "b" \\'},
            {
                "fwd": http_sf.Token("stale"),
                "fwd-status": 304,
                "detail": 'a "b" \\',
            },
        ),
    ],
)
def test_cache_status_is_a_structured_field(said, parameters):
    """What is put together by hand is what a serialiser would have made of it."""
    told = cache_status("My cache", **said)
    assert told == http_sf.ser([("My cache", parameters)])
    assert http_sf.parse(told.encode(), tltype="list") == [("My cache", parameters)]
