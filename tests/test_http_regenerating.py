"""A stale page is made anew by one worker, for nobody in particular."""

import threading
import time

import pytest
from http_shop import STALE, Response, Site, environ_for, page, pages_region
from standins import UnservedQueue
from waiting import PATIENCE, wait_until

from holdover.regions.worker import CATALOGUE, carry_out
from holdover.wsgi import HTTPCacheMiddleware, HTTPCachePolicy

MINUTE = ("Cache-Control", "max-age=60")
VARIED = [*STALE, ("Vary", "Accept-Language")]


@pytest.fixture(params=["thread", None, "inline"])
def runner(request):
    """Who makes pages anew."""
    return request.param


def renewed(site, text, **request):
    """Wait until a page says something."""
    wait_until(lambda: site.ask(**request).text == text, f"the page {text!r}")


class TestHere:
    def test_everybody_gets_the_old_one(self, pages_url, runner):
        """While one makes the next, and nobody waits for that."""
        site = Site(pages_region(pages_url, runner=runner), page("old", *STALE))
        site.ask()
        site.view = page("new")
        stale = site.ask()
        assert (stale.text, stale.cache) == ("old", "hit;ttl=-2")
        renewed(site, "new")
        assert site.calls == 2

    def test_that_is_after_the_response(self, pages_url):
        """Where no thread does it, the server's own does when all was sent."""
        site = Site(pages_region(pages_url), page("old", *STALE))
        site.ask()
        site.view = page("new")
        response = Response(site.app, environ_for())
        assert b"".join(response.chunks) == b"old"
        assert site.calls == 1
        response.close()
        assert site.calls == 2
        assert site.ask().text == "new"

    def test_a_server_without_threads(self, pages_url):
        """Is called in its own thread only, whatever the region's runner."""
        threads = []

        def view(environ, start_response):
            threads.append(threading.get_ident())
            return page("new")(environ, start_response)

        site = Site(pages_region(pages_url, runner="thread"), page("old", *STALE))
        site.ask()
        site.view = view
        site.ask(**{"wsgi.multithread": False})
        assert threads == [threading.get_ident()]

    def test_an_application_that_is_mounted(self, pages_url):
        """Is called where the visitor was, unless it is mounted for workers, too."""
        for number, mounted in enumerate(("", "/shop")):
            site = Site(
                pages_region(pages_url, f"site-{number}", runner="thread"),
                page("old", *STALE),
                script_name=mounted,
            )
            site.ask("/a", SCRIPT_NAME="/shop")
            site.view = page("new")
            site.ask("/a", SCRIPT_NAME="/shop")
            wait_until(lambda site=site: site.calls == 2)
            asked = site.asked[-1]
            assert (asked["SCRIPT_NAME"], asked["PATH_INFO"]) == ("/shop", "/a")

    def test_one_of_many_does_it(self, pages_url, runner):
        """However many see that it is stale."""
        site = Site(pages_region(pages_url, runner=runner), page("old", *STALE))
        site.ask()
        go = threading.Event()

        def view(environ, start_response):
            assert go.wait(PATIENCE)
            return page("new")(environ, start_response)

        site.view = view
        crowd = [threading.Thread(target=site.ask) for _ in range(16)]
        for one in crowd:
            one.start()
        wait_until(lambda: site.calls == 2)
        go.set()
        for one in crowd:
            one.join(PATIENCE)
        renewed(site, "new")
        assert site.calls == 2

    def test_nobody_is_told_apart(self, pages_url, runner):
        """No visitor's cookies or credentials, no address; what is in the key is."""
        site = Site(pages_region(pages_url, runner=runner), page(None, *VARIED))
        fields = {"Cookie": "id=7", "Authorization": "Basic x", "User-Agent": "one",
                  "Accept-Language": "de", "X-Forwarded-For": "::1"}  # fmt: skip
        site.ask("/a%20b?x=%2f", fields={"Accept-Language": "de"})
        site.view = page("new", MINUTE, ("Vary", "Accept-Language"))
        site.ask("/a%20b?x=%2f", fields=fields)
        wait_until(lambda: site.calls == 2)
        asked = site.asked[-1]
        assert {name: value for name, value in asked.items() if "HTTP_" in name} == {
            "HTTP_HOST": "shop.example",
            "HTTP_ACCEPT_LANGUAGE": "de",
        }
        assert (asked["PATH_INFO"], asked["QUERY_STRING"]) == ("/a%20b", "x=%2f")
        assert asked["REMOTE_ADDR"] == "0.0.0.0"
        assert asked["REQUEST_METHOD"] == "GET"
        renewed(site, "new", path="/a%20b?x=%2f", fields={"Accept-Language": "de"})

    def test_a_page_that_holds(self, pages_url, runner):
        """Is asked about, and kept with its body."""
        site = Site(pages_region(pages_url, runner=runner),
                    page("old", *STALE, ("ETag", '"1"')))  # fmt: skip
        site.ask()

        def view(environ, start_response):
            assert environ["HTTP_IF_NONE_MATCH"] == '"1"'
            start_response("304 Not Modified", [MINUTE, ("ETag", '"1"')])
            return []

        site.view = view
        site.ask()
        wait_until(lambda: site.ask()["Age"] == "0")
        assert site.ask().text == "old"
        assert site.calls == 2

    @pytest.mark.parametrize(
        "becomes",
        [
            page("mine", ("Cache-Control", "private")),
            page("mine", MINUTE, ("Set-Cookie", "id=7")),
            page("gone", ("Cache-Control", "no-store"), status="404 Not Found"),
            page("varied", MINUTE, ("Vary", "Cookie")),
            page("x" * 20),
        ],
        ids=["private", "cookie", "404", "varied", "large"],
    )
    def test_a_page_that_is_no_longer_for_all(self, pages_url, runner, becomes):
        """Is not stored, and the old one is not served any more."""
        policy = HTTPCachePolicy(most_body=10)
        region = pages_region(pages_url, runner=runner)
        site = Site(region, page("old", *STALE), policy=policy)
        site.ask()
        site.view = becomes
        site.ask()
        wait_until(lambda: site.ask().text != "old")
        assert "hit" not in site.ask(fields={"Cookie": "other"}).cache

    @pytest.mark.parametrize("failing", [
        page("sorry", MINUTE, status="500 Error"),
        lambda *_: 1 / 0,
        page("", MINUTE, ("ETag", '"other"'), status="304 Not Modified"),
        page("abc", MINUTE, ("Content-Length", "7")),
    ], ids=["500", "raises", "304", "short"])  # fmt: skip
    def test_a_failure_leaves_the_old_one(self, pages_url, runner, failing):
        """And the application alone for a while."""
        calls = []

        def app(environ, start_response):
            calls.append(environ)
            environ["test.call"] = len(calls)
            view = page("old", *STALE) if len(calls) == 1 else failing
            return view(environ, start_response)

        region = pages_region(pages_url, runner=runner)
        site = HTTPCacheMiddleware(app, region)
        first = Response(site, environ_for()).whole()
        assert first.text == "old"
        Response(site, environ_for()).whole()
        wait_until(lambda: len(calls) == 2)
        for _ in range(20):
            assert Response(site, environ_for()).whole().text == "old"
        assert len(calls) == 2

    def test_a_removal_overtakes_it(self, pages_url, runner):
        """What is made from what was before is not stored."""
        begun, go = threading.Event(), threading.Event()

        def view(environ, start_response):
            begun.set()
            assert go.wait(PATIENCE)
            return page("made of the old")(environ, start_response)

        site = Site(pages_region(pages_url, runner=runner), page("old", *STALE))
        site.ask()
        site.view = view
        visitor = threading.Thread(target=site.ask)
        visitor.start()
        assert begun.wait(PATIENCE)
        site.middleware.purge("http://shop.example/")
        go.set()
        visitor.join(PATIENCE)
        site.view = page("new")
        wait_until(lambda: site.ask().text != "made of the old")
        assert site.ask().text == "new"

    def test_no_request_waits(self, pages_url):
        """A page that takes long to make expires under load, and nobody notices."""
        site = Site(pages_region(pages_url, runner="thread"), page("old", *STALE))
        site.ask()

        def view(environ, start_response):
            time.sleep(1.5)
            return page("new")(environ, start_response)

        site.view = view
        took = []
        text, until = None, time.monotonic() + PATIENCE
        while text != "new" and time.monotonic() < until:
            begun = time.monotonic()
            text = site.ask().text
            took.append(time.monotonic() - begun)
        assert text == "new"
        assert site.calls == 2
        assert max(took) < 1.4


class TestOrders:
    """What is sent to a queue, and what its worker makes of it."""

    @pytest.fixture
    def queue(self):
        """A queue that nobody serves."""
        return UnservedQueue(leaves_process=True)

    @pytest.fixture
    def site(self, queue, tmp_path):
        """A site whose pages are made anew by the queue's workers."""
        region = pages_region(f"file://{tmp_path}/pages", "ordered", runner=queue)
        site = Site(region, page(None, *VARIED))
        site.ask("/a?b", fields={"Accept-Language": "de"})
        return site

    @pytest.fixture
    def order(self, site, queue):
        """An order for a page."""
        site.ask("/a?b", fields={"Accept-Language": "de", "Cookie": "id=7"})
        assert queue.arrived.wait(PATIENCE)
        return queue.messages[0]

    def test_say_which_page(self, order, site):
        """And nothing of the visitor."""
        [wanted] = order["args"]
        assert wanted.pop("generation")
        assert wanted == {
            "target": {"scheme": "http", "host": "shop.example", "path": "/a",
                       "query": "b"},
            "varied": ["accept-language"],
            "fields": {"accept-language": "de"},
        }  # fmt: skip
        assert (order["region"], order["kwargs"]) == ("ordered", {})
        assert CATALOGUE.registered("ordered", order["function"]) is not None

    def test_are_carried_out_once(self, order, site):
        """By whoever has imported the module that makes the middleware."""
        site.view = page("new", MINUTE, ("Vary", "Accept-Language"))
        assert carry_out(order).done
        assert not carry_out(order).done
        assert site.ask("/a?b", fields={"Accept-Language": "de"}).text == "new"

    @pytest.mark.parametrize(
        "forged",
        [
            {"target": {"scheme": "http", "host": "shop.example", "path": "/other",
                        "query": "b"}},
            {"target": {"scheme": "http", "host": "evil.example", "path": "/a",
                        "query": "b"}},
            {"target": {"scheme": "http", "host": "shop.example"}},
            {"target": "http://shop.example/a"},
            {"target": {"scheme": "http", "host": "shop.example", "path": "/a",
                        "query": 7}},
            {"fields": {"accept-language": "en"}},
            {"fields": {"accept-language": "de", "x-forwarded-host": "evil.example"}},
            {"fields": {"accept-language": ["de"]}},
            {"fields": {"accept-language": "de\r\nX: y"}},
            {"fields": {"accept-language": "d" * 100_000}},
            {"fields": None},
            {"varied": ["accept-language", "x-forwarded-host"]},
            {"varied": []},
            {"varied": 7},
            {"generation": ""},
            {"generation": 7},
            {"script_name": "/a"},
        ],
        ids=str,
    )  # fmt: skip
    def test_that_are_forged_poison_nothing(self, order, site, forged):
        """Whoever writes to the queue chooses neither page nor fields."""
        order["args"][0].update(forged)
        site.view = page("poison", MINUTE)
        assert not carry_out(order).done
        assert site.calls == 1
        for path in ("/a?b", "/other?b", "/a"):
            assert "hit;ttl=5" not in site.ask(path).cache

    @pytest.mark.parametrize("args", [[], [None], [[]], ["x"], [{}, {}], [{}]], ids=str)
    def test_that_are_nonsense(self, order, site, args):
        """Are dropped."""
        assert not carry_out({**order, "args": args}).done
        assert not carry_out({**order, "kwargs": {"wanted": {}}}).done
        assert site.calls == 1

    def test_with_wrong_tokens(self, order, site):
        """Are dropped."""
        assert not carry_out({**order, "token": "x"}).done
        assert site.calls == 1

    def test_two_sites_of_one_process(self, tmp_path):
        """Each makes its own pages, though they are called alike."""
        url = f"file://{tmp_path}/pages"
        sites = [
            Site(pages_region(f"{url}-{text}", runner="thread"), page(text, *STALE))
            for text in ("one", "two")
        ]
        for site in sites:
            site.ask()
        for site, text in zip(sites, ("one!", "two!"), strict=True):
            site.view = page(text)
        for site, text in zip(sites, ("one!", "two!"), strict=True):
            renewed(site, text)
