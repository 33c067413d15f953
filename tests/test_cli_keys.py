"""``holdover inspect``, ``invalidate`` and ``purge``, on real backends."""

import json
import os
import pty
import subprocess

import pytest
from commands import Commands
from servers import free_port
from waiting import wait_until

from holdover import NO_VALUE, Registry, make_region
from holdover.regions.written_calls import WrittenCall

SECRET = "a secret of 20 bytes"
SHOP = (
    "import os",
    "from holdover import CeleryRunner, Registry",
    "registry = Registry()",
    "given = {'backend': os.environ['SHOP_CACHE'], 'expiration_time': 60}",
    "given['secret'] = os.environ.get('SHOP_SECRET')",
    "registry.configure({'shop': given, 'news': given})",
    "shop, news = registry['shop'], registry['news']",
    "@shop.cache_on_arguments(tags=lambda article, unit='kg': [f'of {article}'])",
    "def price(article, unit='kg'):",
    "    return [article, unit]",
    "shop.schedule(price, args=[17], every=3600, name='warm 17')",
)


@pytest.fixture
def holdover(tmp_path, monkeypatch):
    """Run commands on a shop whose values lie in files."""
    monkeypatch.setenv("SHOP_CACHE", f"file://{tmp_path}/cache")
    commands = Commands(tmp_path)
    commands.write("shop", *SHOP)
    return commands


@pytest.fixture
def shop(holdover):
    """The shop, as a web process has it."""
    region = make_region("shop").configure(os.environ["SHOP_CACHE"], 60)
    names = {"shop": region, "__name__": "shop"}
    lines = "\n".join(line for line in SHOP if not line.startswith("shop"))
    code = lines[lines.index("def price") :]
    exec(code, names)
    tags = lambda article, unit="kg": [f"of {article}"]  # noqa: E731
    region.price = region.cache_on_arguments(tags=tags)(names["price"])
    return region


class TestInspect:
    def test_a_call(self, holdover, shop):
        """However it is spelled, it is the entry of the function's call."""
        shop.price(17)
        for call in (
            "price(17)",
            "price(article=17, unit='kg')",
            "shop:price(17)",
            "shop.price(17, 'kg')",
            shop.price.key_for(17),
            shop.inspect(shop.price.key_for(17)).key,
        ):
            done = holdover("inspect", call, "--value", "--json")
            assert (0, "") == (done.returncode, done.stderr)
            [told] = json.loads(done.stdout)
            assert shop.inspect(shop.price.key_for(17)).key == told["key"]
            assert ("shop", "fresh", "pickle") == (
                told["region"], told["freshness"], told["codec"],
            )  # fmt: skip
            assert ["of 17"] == told["tags"]
            assert "[17, 'kg']" == told["value"]
            assert ["warm 17"] == [one["name"] for one in told["schedules"]]
            assert told["size"] > 100
            assert 0 < told["expires_in"] <= 60

    def test_a_key(self, holdover, shop):
        """It is looked for in all regions, or in one."""
        news = make_region("news").configure(os.environ["SHOP_CACHE"], 60)
        shop.set("k", 1)
        news.set("k", 2)
        told = json.loads(holdover("inspect", "k", "--json").stdout)
        assert ["shop", "news"] == [one["region"] for one in told]
        told = json.loads(holdover("inspect", "news:k", "--json").stdout)
        assert ["news"] == [one["region"] for one in told]
        told = json.loads(holdover("inspect", "k", "--region", "shop", "--json").stdout)
        assert ["shop"] == [one["region"] for one in told]
        shown = holdover("inspect", "k", "--value", "--region", "news").stdout
        assert "region news  news:k" in shown
        assert "value        2" in shown

    def test_a_lease(self, holdover, shop):
        """Who creates what is not there yet is told."""
        with shop.lease("k"):
            done = holdover("inspect", "k")
        assert 0 == done.returncode
        assert "gone" in done.stdout
        assert "held, lapses in" in done.stdout

    def test_nothing_is_there(self, holdover, shop):
        """That is said, and is the exit code."""
        done = holdover("inspect", "k", "--json")
        assert (1, []) == (done.returncode, json.loads(done.stdout))
        assert "holdover: nothing is stored for 'k'\n" == done.stderr
        done = holdover("inspect", "price(18)", "--json")
        assert 1 == done.returncode
        [told] = json.loads(done.stdout)
        assert ("gone", False) == (told["freshness"], told["known"])

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ("k(1", "'k(1'; it is no call either, whose arguments are literals"),
            ("price(x)", "'price(x)'; it is no call either"),
            ("prize(1)", "; no function is called 'prize'. Did you mean 'price'?\n"),
            ("nothing(1)", "; no function is called 'nothing'\n"),
            ("price(18)", "nothing is stored for 'price(18)'\n"),
        ],
    )
    def test_what_may_have_been_meant(self, holdover, wanted, said):
        """What looks like a call, and was taken for a key alone, is told with it."""
        done = holdover("inspect", wanted)
        assert 1 == done.returncode
        assert said in done.stderr

    def test_another_secret(self, holdover, shop):
        """What is there and cannot be read is told, with the reason."""
        shop.set("k", 1)
        done = holdover("inspect", "k", SHOP_SECRET=SECRET)
        assert 0 == done.returncode
        assert "unreadable   not signed" in done.stdout
        assert SECRET not in done.stdout + done.stderr

    def test_out_of_reach(self, holdover):
        """A backend that is away is told from a key that is not there."""
        url = f"redis://user:password@127.0.0.1:{free_port()}/0"
        done = holdover("inspect", "k", SHOP_CACHE=url, SHOP_SECRET=SECRET)
        assert 3 == done.returncode
        assert "could not be reached" in done.stderr
        assert "password" not in done.stdout + done.stderr

    def test_a_hostile_value(self, holdover, shop):
        """Its repr is bounded, and may fail."""
        holdover.write(
            "strange",
            "from shop import shop",
            "class Odd:",
            "    def __repr__(self): raise ValueError('never')",
            "shop.set('odd', Odd())",
            "shop.set('long', ['x' * 10_000_000] * 1000)",
        )
        for key in ("odd", "long"):
            done = holdover("inspect", key, "--value", app="strange:shop")
            assert 0 == done.returncode
            assert len(done.stdout) < 5000


class TestCalls:
    @pytest.mark.parametrize(
        "text",
        [
            "k",
            "f(x)",
            "f(*[1])",
            "f(**{'a': 1})",
            "f(1)(2)",
            "f(1) + f(2)",
            "f(__import__('os').system('false'))",
            "f(" + "(" * 5000 + ")" * 5000 + ")",
            "f(" + "1," * 10_000 + ")",
            "f(1",
            "f(\0)",
        ],
    )
    def test_what_is_none(self, text):
        """Only calls of literals are; nothing is evaluated."""
        assert WrittenCall.read(text) is None

    def test_what_is_one(self):
        """Arguments may be any literals."""
        call = WrittenCall.read("shop.x:price(1, 'a)', b=[None, {'k': (1.5, True)}])")
        assert "shop.x:price" == call.name
        assert (1, "a)") == call.args
        assert {"b": [None, {"k": (1.5, True)}]} == call.kwargs


class TestInvalidate:
    def test_parts(self, holdover, shop):
        """Keys, calls, tags and prefixes; each step is told, and the rest stays."""
        for key in ("k", "kept", "pre-1", "pre-2"):
            shop.set(key, 1)
        for article in (1, 2, 3):
            shop.price(article)
        done = holdover(
            "invalidate", "shop", "--key", "k", "--key", "none", "--call", "price(1)",
            "--tag", "of 2", "--prefix", "pre-", "--json",
        )  # fmt: skip
        assert (0, "") == (done.returncode, done.stderr)
        steps = json.loads(done.stdout)
        assert 5 == len(steps)
        assert all(one["done"] for one in steps)
        existed = [True, False, True, None, None]
        assert existed == [one["existed"] for one in steps]
        assert [NO_VALUE] * 3 == shop.get_multi(["k", "pre-1", "pre-2"])
        assert 1 == shop.get("kept")
        assert NO_VALUE is shop.price.get(1) is shop.price.get(2)
        assert [3, "kg"] == shop.price.get(3)

    def test_softly(self, holdover, shop):
        """What has expired is served on, and refreshed."""
        shop.set("k", 1)
        shop.price(1)
        done = holdover(
            "invalidate", "shop", "--soft", "--key", "k", "--call", "price(1)"
        )
        assert 0 == done.returncode
        assert "key 'k': expired" in done.stdout
        assert NO_VALUE is shop.get("k") is shop.price.get(1)
        assert 1 == shop.get("k", ignore_expiration=True)

    def test_a_whole_region(self, holdover, shop):
        """Somebody has to say that he means it."""
        shop.set("k", 1)
        assert 2 == holdover("invalidate", "shop").returncode
        assert 2 == holdover("invalidate", "shop", "--json").returncode
        assert 1 == shop.get("k")
        done = holdover("invalidate", "shop", "--yes")
        assert (0, "the whole region: invalidated\n") == (done.returncode, done.stdout)
        assert NO_VALUE is shop.get("k")

    @pytest.mark.parametrize(("answer", "code"), [("n", 2), ("y", 0)])
    def test_at_a_terminal(self, holdover, shop, answer, code):
        """There he is asked."""
        shop.set("k", 1)
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            Commands.line("invalidate", "shop", app="shop"),
            cwd=holdover.folder,
            env=Commands.environ({}),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            os.write(ours, f"{answer}\n".encode())
            _, said = process.communicate(timeout=60)
        os.close(ours)
        os.close(theirs)
        assert code == process.returncode
        assert b"Invalidate all of it? [y/N]" in said
        assert (1 if code else NO_VALUE) == shop.get("k")

    def test_a_backend_that_is_away(self, holdover, own_redis):
        """Nothing is said to be done that was not; steps that could be, are."""
        own_redis.kill()
        done = holdover(
            "invalidate", "shop", "--key", "k", "--tag", "t", "--json",
            SHOP_CACHE=own_redis.url, SHOP_SECRET=SECRET,
        )  # fmt: skip
        assert 3 == done.returncode
        steps = json.loads(done.stdout)
        assert [False, False] == [one["done"] for one in steps]
        assert all("refused" in one["error"] for one in steps)
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("backend", "said"),
        [
            ("holdover.memory", "in the memory of each process"),
            ("dogpile.cache.memory", "a backend of dogpile.cache's"),
        ],
    )
    def test_what_no_command_reaches(self, holdover, backend, said):
        """A region that only this process would see is refused."""
        done = holdover("invalidate", "shop", "--yes", SHOP_CACHE=backend)
        assert 2 == done.returncode
        assert said in done.stderr


class TestPurge:
    def test_a_shared_backend(self, holdover, shop):
        """It is purged once, and what went is counted."""
        from holdover import Lifetime

        brief = Lifetime(expiration_time=0.001, keep_for=0)
        for key in "abc":
            shop.set(key, 1, lifetime=brief)
        shop.set("kept", 1)
        told = []

        def purged():
            told.extend(json.loads(holdover("purge", "--json").stdout))
            return sum(one["removed"] for one in told) >= 3

        wait_until(purged)  # a file's expiry is rounded up to a second
        assert 3 == sum(one["removed"] for one in told)
        assert all(["shop", "news"] == one["regions"] for one in told)
        assert all(str(holdover.folder / "cache") in one["backend"] for one in told)
        assert {""} == {one["error"] for one in told}
        assert 1 == shop.get("kept")
        assert "shop, news" in holdover("purge").stdout

    def test_a_backend_that_fails(self, holdover, tmp_path):
        """The others are purged, and the exit code says that one was not."""
        holdover.write(
            "both",
            "from shop import news",
            "from holdover import make_region",
            "path = 'sqlite:////nowhere/cache.db'",
            "broken = make_region('broken')",
            "regions = [broken, news]",
        )
        done = holdover("purge", "--json", app="both:regions")
        assert 1 == done.returncode
        first, second = json.loads(done.stdout)
        assert "No backend is configured" in first["error"]
        assert 0 == second["removed"]

    def test_regions(self, tmp_path):
        """`Region.purge` is public."""
        caches = Registry()
        caches.configure({"a": {"backend": f"file://{tmp_path}/a"}})
        assert 0 == caches["a"].purge()
