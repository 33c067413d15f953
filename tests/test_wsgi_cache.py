"""The regions reach the application, and nothing else changes on its way."""

import subprocess
import sys
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
import webtest

from holdover import Registry, errors, registry
from holdover.wsgi import CacheMiddleware

MEMORY = {"backend": "holdover.memory"}


def answer(start_response, text="hello", status="200 OK"):
    """Answer with a text."""
    start_response(status, [("Content-Type", "text/plain")])
    return [text.encode()]


def hello(environ, start_response):
    """Answer without looking at the regions."""
    return answer(start_response)


def seen_by(middleware_around):
    """Give the environ that the application gets."""
    seen = []

    def app(environ, start_response):
        seen.append(dict(environ))
        return answer(start_response)

    webtest.TestApp(middleware_around(app)).get("/")
    return seen[0]


class TestRegions:
    def test_are_those_of_the_mapping(self):
        """A mapping of names to options becomes a registry, defaults included."""
        config = {
            "defaults": {"backend": "holdover.memory", "expiration_time": 60},
            "prices": {"expiration_time": 300},
            "names": {},
        }
        caches = seen_by(lambda app: CacheMiddleware(app, config))["holdover.cache"]
        spans = {name: caches.region(name).expiration_time for name in caches}
        assert spans == {"names": 60, "prices": 300}

    def test_are_those_of_an_ini_file(self):
        """Flat keys do as well, beside others that are none of ours."""
        config = {"debug": "true", "cache.regions": "prices", "cache.expire": "300"}
        caches = seen_by(lambda app: CacheMiddleware(app, config))["holdover.cache"]
        assert caches["prices"].expiration_time == 300

    def test_are_those_of_the_registry(self):
        """A registry that is given is the one that the application finds."""
        given = Registry()
        found = seen_by(lambda app: CacheMiddleware(app, given))["holdover.cache"]
        assert found is given

    def test_are_the_default_registrys_if_none_are_given(self):
        """Without configuration, it is `holdover.registry`."""
        assert seen_by(CacheMiddleware)["holdover.cache"] is registry

    def test_belong_to_their_middleware(self):
        """Two middlewares made from one mapping have regions of their own."""
        config = {"prices": MEMORY}
        one, two = (
            seen_by(lambda app: CacheMiddleware(app, config))["holdover.cache"]
            for _ in range(2)
        )
        assert one.region("prices") is not two.region("prices")

    def test_keep_values_from_request_to_request(self, counter):
        """What one request creates, the next one finds."""

        def app(environ, start_response):
            region = environ["holdover.cache"]["numbers"]
            return answer(start_response, str(region.get_or_create("key", counter)))

        client = webtest.TestApp(CacheMiddleware(app, {"numbers": MEMORY}))
        assert [client.get("/").text for _ in range(2)] == ["1", "1"]

    def test_can_stand_elsewhere_in_the_environ(self):
        """The key in the environ can be chosen."""
        environ = seen_by(lambda app: CacheMiddleware(app, environ_key="my.cache"))
        assert environ["my.cache"] is registry
        assert "holdover.cache" not in environ


class TestNesting:
    def test_the_innermost_wins(self):
        """Under one key, the application sees the regions next to it."""
        outer, inner = Registry(), Registry()
        environ = seen_by(
            lambda app: CacheMiddleware(CacheMiddleware(app, inner), outer)
        )
        assert environ["holdover.cache"] is inner

    def test_different_keys_are_both_there(self):
        """Under two keys, it sees both."""
        outer, inner = Registry(), Registry()
        environ = seen_by(
            lambda app: CacheMiddleware(
                CacheMiddleware(app, inner), outer, environ_key="outer.cache"
            )
        )
        assert (environ["outer.cache"], environ["holdover.cache"]) == (outer, inner)


class TestTransparency:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    def test_it_keeps_the_rules_of_wsgi_on_both_sides(self, method):
        """A validator around it and one inside it find nothing wrong."""

        def echo(environ, start_response):
            size = int(environ.get("CONTENT_LENGTH") or 0)
            body = environ["wsgi.input"].read(size)
            return answer(start_response, body.decode() or method)

        app = validator(CacheMiddleware(validator(echo)))
        response = webtest.TestApp(app).request("/", method=method)
        assert response.text == method

    def test_the_response_passes_through_it_untouched(self):
        """Status, headers and the iterable itself are the application's."""
        body, started = iter([b"hello"]), []

        def app(environ, start_response):
            start_response("404 Not Found", [("X-Header", "1")], None)
            return body

        environ = {}
        setup_testing_defaults(environ)
        returned = CacheMiddleware(app)(environ, lambda *given: started.append(given))
        assert returned is body
        assert started == [("404 Not Found", [("X-Header", "1")], None)]

    def test_exceptions_pass_through_it(self):
        """What the application raises is what its server gets."""
        error = RuntimeError("broken")

        def app(environ, start_response):
            raise error

        with pytest.raises(RuntimeError) as raised:
            CacheMiddleware(app)({}, None)
        assert raised.value is error

    def test_importing_it_loads_no_optional_library(self):
        """The object cache needs neither webob nor Django."""
        check = (
            "import sys; from holdover.wsgi import CacheMiddleware; "
            "sys.exit(bool({'webob', 'django', 'celery'} & sys.modules.keys()))"
        )
        run = subprocess.run([sys.executable, "-c", check], check=False)
        assert run.returncode == 0


class TestMistakes:
    @pytest.mark.parametrize(
        ("config", "told"),
        [
            ("holdover.memory", "mapping of region names"),
            ([("prices", MEMORY)], "mapping of region names"),
            ({"prices": "holdover.memory"}, "'prices'.*mapping.*'holdover.memory'"),
            ({"defaults": None, "prices": MEMORY}, "'defaults'.*mapping.*None"),
            ({"cache.type": "memory"}, "'cache.regions' must name the regions"),
            ({"prices": {"backend": "holdover.memry"}}, "'prices'.*'holdover.memory'"),
            ({"prices": {}}, "'prices'.*no backend"),
            ({"prices": {**MEMORY, "expires": 3}}, "'prices'.*'expires'"),
            ({"prices": {**MEMORY, "expiration_time": 0}}, "'prices'.*more than 0"),
            ({5: MEMORY}, "5"),
        ],
    )
    def test_in_the_configuration_are_named(self, config, told):
        """A wrong configuration fails when the middleware is made, and says where."""
        with pytest.raises(errors.ConfigurationError, match=told):
            CacheMiddleware(hello, config)

    def test_an_application_that_is_none_is_refused(self):
        """Swapped arguments are found at once, not by the first request."""
        with pytest.raises(errors.ConfigurationError, match="WSGI application"):
            CacheMiddleware({"prices": MEMORY}, hello)

    @pytest.mark.parametrize("key", ["", None, 5])
    def test_a_key_that_no_environ_can_have_is_refused(self, key):
        """Keys of an environ are texts (PEP 3333)."""
        with pytest.raises(errors.ConfigurationError, match="environ_key"):
            CacheMiddleware(hello, environ_key=key)

    def test_a_region_without_configuration_says_so(self):
        """A misspelt name is told from the region itself."""
        caches = seen_by(lambda app: CacheMiddleware(app, {"prices": MEMORY}))
        with pytest.raises(errors.RegionNotConfigured, match="'prizes'"):
            caches["holdover.cache"].region("prizes").get("key")
