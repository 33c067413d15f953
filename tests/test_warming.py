"""Warming: declared calls are made before anybody asks, once, and strictly."""

import asyncio
import contextvars
import itertools
import threading
from collections import Counter

import pytest
from standins import broken
from waiting import at_once, wait_until

from holdover import (
    Cached,
    Registry,
    Scheduler,
    WarmCall,
    Warmer,
    Warming,
    Warmth,
    errors,
    make_region,
)


@pytest.fixture
def shop(new_region):
    """A region on each backend in turn."""
    return new_region(60.0, name="shop")


@pytest.fixture
def memory():
    """A region in memory."""
    return make_region("shop").configure("holdover.memory", 60)


def came_to(regions, **options):
    """Warm; give what came of each call, by its arguments."""
    done = {}
    for one in Warmer(regions, **options).run():
        shown = "" if one.call is None else str(one.call)
        assert shown not in done
        done[shown] = one.warmth.value if not one.reason else one.reason
    return done


class Prices:
    """A creator that counts, and fails when it is told to."""

    def __init__(self):
        self.made = Counter()
        self.error = None

    def __call__(self, article):
        """Make a price."""
        self.made[article] += 1
        if self.error is not None:
            raise self.error
        return [article, self.made[article]]


@pytest.fixture
def prices():
    """Give a creator."""
    return Prices()


def cached(region, prices, **more):
    """Let *region* cache what *prices* makes."""

    def price(article):
        return prices(article)

    return region.cache_on_arguments(namespace="price", **more)(price)


class TestOnEveryBackend:
    def test_what_is_not_fresh_is_made(self, shop, prices, clock):
        """Missing and stale values are made now; fresh ones only by force."""
        price = cached(shop, prices)
        price(2)
        shop.warming(price, calls=[(1,), {"article": 2}, WarmCall((3,))])
        assert came_to(shop) == {
            "(1)": "created",
            "(article=2)": "fresh",
            "(3)": "created",
        }
        assert price.get(1) == [1, 1]
        clock.advance(61.0)
        assert set(came_to(shop).values()) == {"created"}
        assert price.get(1) == [1, 2]
        assert set(came_to(shop).values()) == {"fresh"}
        assert set(came_to(shop, force=True).values()) == {"created"}
        assert price.get(1) == [1, 3]

    def test_many_values_at_once(self, shop, clock):
        """Of a list of ids, those that are not fresh are made by one call."""
        asked = []

        @shop.cache_multi_on_arguments(namespace="many")
        def names(*ids):
            asked.append(sorted(ids))
            return [f"{one}" for one in ids]

        names(2)
        shop.warming(names, calls=[(1, 2, 3, 1), ()])
        warmed = came_to(shop)
        assert warmed == {"(1, 2, 3, 1)": "created", "()": "fresh"}
        assert asked == [[2], [1, 3]]
        assert came_to(shop)["(1, 2, 3, 1)"] == "fresh"
        assert came_to(shop, force=True)["(1, 2, 3, 1)"] == "created"
        assert asked[2:] == [[1, 2, 3]]
        assert names.get(1, 2, 3) == ["1", "2", "3"]

    def test_two_warmers_at_once(self, new_region, backend_name, prices):
        """Each value is made by one of them."""
        hosts = [new_region(60.0, name="shop") for _ in range(2)]
        if backend_name == "holdover.memory":
            hosts[1].configure(hosts[0].backend, 60.0, replace_existing_backend=True)
        for host in hosts:
            host.warming(cached(host, prices), calls=[(n,) for n in range(20)])
        done = []
        at_once(*(lambda h=host: done.append(came_to(h)) for host in hosts))
        assert prices.made == Counter(range(20))
        both = Counter(itertools.chain(*(one.values() for one in done)))
        assert both == {"created": 20, "fresh": 20}

    @pytest.mark.parametrize("verb", ["read", "acquire"])
    def test_the_store_is_away(self, shop, prices, monkeypatch, verb):
        """A value that would not be stored is not made, and has failed."""
        shop.warming(cached(shop, prices), calls=[(1,), (2,)])
        many = shop.cache_multi_on_arguments(namespace="m")(lambda *ids: prices(ids))
        shop.warming(many, calls=[(1, 2)])
        monkeypatch.setattr(shop.backend, verb, broken)
        monkeypatch.setattr(shop.backend, f"{verb}_multi", broken)
        done = list(Warmer(shop).run())
        assert [type(one.error) for one in done] == [errors.BackendError] * 3
        assert not prices.made


class TestWhatComesOfIt:
    def test_a_failing_creator(self, memory, prices):
        """It is told of, its pause is not waited for, and what was there stays."""
        price = cached(memory, prices)
        price(1)
        memory.warming(price, calls=[(1,), (2,)])
        prices.error = KeyError("gone")
        for _ in range(2):
            warmed = {str(one.call): one for one in Warmer(memory, force=True).run()}
            assert all(one.has_failed for one in warmed.values())
            assert warmed["(1)"].error is prices.error
            assert "shop/default" in str(warmed["(1)"])
        assert prices.made == {1: 3, 2: 2}
        assert price.get(1) == [1, 1]
        prices.error = None
        assert came_to(memory) == {"(1)": "fresh", "(2)": "created"}

    @pytest.mark.parametrize(
        "error", [SystemExit(3), RecursionError("deep"), asyncio.CancelledError()]
    )
    def test_the_end_of_a_creator_is_no_end_of_ours(self, memory, prices, error):
        """One that calls exit() ends itself."""
        prices.error = error
        memory.warming(cached(memory, prices), calls=[(1,), (2,)])
        [first, second] = Warmer(memory, threads=1).run()
        assert first.error is second.error is error

    @pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
    def test_the_end_of_what_gives_calls(self, memory, prices, error):
        """It is a failure, and what it gave before is warmed."""

        def calls():
            yield (1,)
            raise error

        memory.warming(cached(memory, prices), calls=calls)
        failed, made = sorted(Warmer(memory).run(), key=lambda one: str(one.call))[::-1]
        assert (made.warmth, failed.error) == (Warmth.CREATED, error)

    def test_values_that_are_not_kept(self, memory):
        """By the function's wish they are skipped; for any other reason, failed."""
        kept = memory.cache_on_arguments()(lambda x: Cached(x, store=False))
        memory.warming(kept, calls=[(1,)])
        assert "not to be stored" in came_to(memory)["(1)"]
        lost = memory.cache_on_arguments(namespace="lost")(
            lambda x: memory.delete(lost.key_for(x)) and x
        )
        memory.warming(lost, calls=[(2,)], group="lost")
        [warmed] = Warmer(memory, groups=["lost"]).run()
        assert warmed.warmth is Warmth.FAILED
        assert "was not stored" in warmed.reason

    def test_somebody_else_makes_it_for_too_long(self, prices):
        """Waiting for him is bounded by how long a lease may be held."""
        region = make_region("held").configure(
            "holdover.memory", 60, lease={"max_hold": 0.05}
        )
        price = cached(region, prices)
        region.warming(price, calls=[(1,)])
        with region.lease(price.key_for(1)):
            [warmed] = Warmer(region).run()
        assert isinstance(warmed.error, errors.LeaseTimeout)
        assert not prices.made

    def test_whoever_waits_gets_the_other_s(self, memory):
        """What another warmer has just made is not made again."""
        begun, go_on = threading.Event(), threading.Event()

        def slow(x):
            begun.set()
            go_on.wait(20)
            return x

        memory.warming(memory.cache_on_arguments()(slow), calls=[(1,)])
        done = []
        first = threading.Thread(target=lambda: done.append(came_to(memory)))
        first.start()
        assert begun.wait(20)
        second = threading.Thread(target=lambda: done.append(came_to(memory)))
        second.start()
        go_on.set()
        first.join()
        second.join()
        assert sorted(one["(1)"] for one in done) == ["created", "fresh"]

    def test_on_dogpile_s_backends(self, prices):
        """It works there too, as far as they go."""
        region = make_region("old").configure("dogpile.cache.memory", 60)
        region.warming(cached(region, prices), calls=[(1,), (2,)])
        assert set(came_to(region).values()) == {"created"}
        assert set(came_to(region).values()) == {"fresh"}
        assert set(came_to(region, force=True).values()) == {"created"}


class TestCalls:
    def test_they_are_taken_as_they_are_needed(self, memory, prices):
        """By one thread alone, and never many more than were done."""
        taken, threads = itertools.count(), set()

        def endless():
            for number in taken:
                threads.add(threading.get_ident())
                yield (number,)

        memory.warming(cached(memory, prices), calls=endless)
        warmer = Warmer(memory, threads=2)
        assert warmer.total() is None
        running = warmer.run()
        done = [next(running) for _ in range(50)]
        running.close()
        assert all(one.warmth is Warmth.CREATED for one in done)
        assert next(taken) <= 50 + 2 * 2 + 1
        assert len(threads) == 1

    def test_a_query_that_fails(self, memory, prices):
        """The failure names the group; what was given before, and the rest, goes on."""

        def query():
            yield (1,)
            raise LookupError("no such table")

        price = cached(memory, prices)
        memory.warming(price, calls=query, group="broken")
        memory.warming(price, calls=lambda: None, group="none")
        memory.warming(price, calls=[(2,)], group="good")
        done = {(one.group, str(one.call)): one for one in Warmer(memory).run()}
        assert done["broken", "None"].reason == "LookupError: no such table"
        assert "TypeError" in done["none", "None"].reason
        assert done["broken", "(1)"].warmth is Warmth.CREATED
        assert done["good", "(2)"].warmth is Warmth.CREATED

    def test_calls_that_are_none(self, memory, prices):
        """Where they are known beforehand nothing is declared; else they fail."""
        price = cached(memory, prices)
        wrong = [(1, 2), {"artikle": 1}, 5, "ab", (object(),), ()]
        for one in wrong:
            with pytest.raises(errors.ConfigurationError):
                memory.warming(price, calls=[one])
        memory.warming(price, calls=lambda: [*wrong, (7,)])
        done = [one.warmth for one in Warmer(memory).run()]
        assert Counter(done) == {Warmth.FAILED: len(wrong), Warmth.CREATED: 1}

    def test_the_caller_s_context(self, memory):
        """Creators and queries see his context variables."""
        tenant = contextvars.ContextVar("tenant", default="")
        seen = []

        def query():
            seen.append(tenant.get())
            return [(1,)]

        make = memory.cache_on_arguments()(lambda x: seen.append(tenant.get()))
        memory.warming(make, calls=query)
        tenant.set("a")
        list(Warmer(memory).run())
        assert seen == ["a", "a"]

    def test_methods(self, memory):
        """Of an object, and of a class with the object among the arguments."""

        class Shop:
            def __init__(self, name):
                self.name = name

            def __cache_key__(self):
                return self.name

            @memory.cache_on_arguments()
            def page(self, number):
                return f"{self.name} {number}"

            @memory.cache_on_arguments(ignore=("cls",))
            @classmethod
            def kind(cls, number):
                return number

        here, there = Shop("here"), Shop("there")
        memory.warming(here.page, calls=[(1,)])
        memory.warming(Shop.page, calls=[(there, 2)])
        memory.warming(Shop.kind, calls=[(3,)])
        assert {one.warmth for one in Warmer(memory).run()} == {Warmth.CREATED}
        assert here.page.get(1) == "here 1"
        assert there.page.get(2) == "there 2"
        assert Shop.kind.get(3) == 3

    def test_cached_where_it_is_used(self, memory):
        """An inline call's function can be warmed like any."""
        memory.warming(memory.cached(ascii), calls=[("x",)])
        assert came_to(memory) == {"('x')": "created"}

    def test_as_a_decorator(self, memory):
        """It gives back what it decorates."""

        @memory.warming(calls=[(1,)], group="front")
        @memory.cache_on_arguments()
        def price(article):
            return article

        [declared] = memory.warmings
        assert isinstance(declared, Warming)
        assert (declared.group, declared.count) == ("front", 1)
        assert came_to(memory) == {"(1)": "created"}
        assert price.get(1) == 1


class TestMistakes:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"calls": iter([(1,)])}, "only once"),
            ({"calls": "ab"}, "must be a list of calls"),
            ({"calls": {"article": 1}}, "must be a list of calls"),
            ({"calls": 5}, "must be a list of calls"),
            ({"calls": [], "group": ""}, "a group is a name"),
            ({"calls": [], "group": "--all"}, "a group is a name"),
            ({"calls": [], "group": "hot"}, "choose another name"),
        ],
    )
    def test_at_declaration(self, memory, prices, given, said):
        """Each is told at once, and nothing is declared."""
        price = cached(memory, prices)
        with pytest.raises(errors.ConfigurationError, match=said):
            memory.warming(price, **given)
        assert not memory.warmings

    def test_functions_of_others(self, memory, prices):
        """What this region does not cache cannot be warmed by it."""
        other = make_region("other").configure("holdover.memory")
        for function in (len, cached(other, prices), 5, None):
            with pytest.raises(errors.ConfigurationError, match="does not cache"):
                memory.read_warming(function, [], "front")

    def test_of_warmers(self, memory, prices):
        """A warmer that has nothing to do says so, and what there is."""
        with pytest.raises(errors.ConfigurationError, match="declares"):
            Warmer(memory)
        memory.warming(cached(memory, prices), calls=[], group="front")
        with pytest.raises(errors.ConfigurationError, match="Did you mean 'front'"):
            Warmer(memory, groups=["frnot"])
        with pytest.raises(errors.ConfigurationError, match="record_hot"):
            Warmer(memory, groups=["hot"])
        for threads in (0, 257, True, "4"):
            with pytest.raises(errors.ConfigurationError, match="threads"):
                Warmer(memory, threads=threads)
        with pytest.raises(errors.ConfigurationError, match="timeout"):
            Warmer(memory, timeout=0)
        bare = make_region("bare")
        bare.warming(cached(bare, prices), calls=[])
        with pytest.raises(errors.RegionNotConfigured):
            Warmer([memory, bare])
        assert list(Warmer(memory, groups="front").run()) == []


class TestTimeout:
    def test_it_bounds_all(self, memory):
        """What is late and what was not begun has failed; the rest is told of."""
        go_on = threading.Event()

        def maybe_slow(x):
            return go_on.wait(20) if x == 1 else x

        price = memory.cache_on_arguments()(maybe_slow)
        memory.warming(price, calls=[(number,) for number in range(100)])
        done = list(Warmer(memory, threads=1, timeout=1.0).run())
        go_on.set()
        assert [str(one.call) for one in done] == ["(0)", "(1)", "None"]
        assert done[0].warmth is Warmth.CREATED
        assert isinstance(done[1].error, TimeoutError)
        assert "not begun" in done[2].reason

    def test_a_query_that_hangs(self, memory, prices):
        """It is waited for no longer than all the rest."""
        go_on = threading.Event()
        memory.warming(cached(memory, prices), calls=lambda: go_on.wait(20) and [])
        [never] = Warmer(memory, timeout=0.1).run()
        go_on.set()
        assert never.has_failed

    def test_threads_end(self, memory, prices):
        """Nothing of it stays behind, however it ends."""
        memory.warming(cached(memory, prices), calls=[(n,) for n in range(100)])
        list(Warmer(memory).run())
        running = Warmer(memory, force=True).run()
        next(running)
        running.close()
        wait_until(
            lambda: (
                not any(
                    one.name == "holdover-parallel" for one in threading.enumerate()
                )
            ),
            "the end of the threads",
        )


class TestSchedules:
    def test_a_group_is_warmed_when_it_is_due(self, memory, prices):
        """A schedule may run a warmer; it has failed if a call has."""
        price = cached(memory, prices)
        memory.warming(price, calls=[(1,), (2,)], group="front")
        nightly = Warmer(memory, groups=["front"], force=True)
        memory.schedule(nightly.warm, every=60, value=False, name="front")
        [run] = Scheduler(memory, threads=0).run_once()
        assert not run.has_failed
        assert price.get(2) == [2, 1]
        assert str(nightly.warm()) == "2 created, 0 fresh, 0 skipped, 0 failed"
        prices.error = ValueError("no")
        with pytest.raises(errors.WarmingFailed, match="2 failed; such as shop/front"):
            nightly.warm()

    def test_many_values_can_be_scheduled(self, memory):
        """A function that makes many of them is one that the region caches."""
        many = memory.cache_multi_on_arguments()(lambda *ids: list(ids))
        memory.schedule(many, every=60, args=[1, 2], name="many")
        Scheduler(memory, threads=0).run_once()
        assert many.get(1, 2) == [1, 2]


class TestConfiguration:
    @pytest.fixture
    def caches(self, tmp_path, monkeypatch):
        """A registry, and a module that decorates with it."""
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "warm_listed.py").write_text(
            "from holdover import Registry\n"
            "caches = Registry()\n"
            "prices = caches.region('prices').configure('holdover.memory', 60)\n"
            "@prices.cache_on_arguments()\n"
            "def price(article): return article\n"
            "def best(): return [(3,), (4,)]\n"
        )
        monkeypatch.delitem(__import__("sys").modules, "warm_listed", raising=False)
        return __import__("warm_listed").caches

    def test_a_list_of_mappings(self, caches):
        """Functions and queries are given as they are, or by their paths."""
        caches.warming_from_config(
            [
                {"function": "warm_listed.price", "calls": [[1], {"article": 2}]},
                {"function": "warm_listed:price", "calls": "warm_listed.best",
                 "group": "best", "region": "prices"},
                {"function": "warm_listed:price", "calls": [], "name": "front"},
            ],
            region="prices",
        )  # fmt: skip
        groups = [one.group for one in caches["prices"].warmings]
        assert groups == ["default", "best", "front"]
        assert set(came_to(caches)) == {"(1)", "(article=2)", "(3)", "(4)"}

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"calls": []}, "warming 2: it says no 'function'"),
            ({"function": "warm_listed.price"}, "it says no 'calls'"),
            ({"function": "warm_listed.prise", "calls": []}, "is no function"),
            ({"function": "time.time", "calls": []}, "does not cache time"),
            ({"function": "warm_listed.price", "calls": [[1, 2]]}, "price"),
            ({"function": "warm_listed.price", "cals": []}, "Did you mean 'calls'?"),
            ({"function": "warm_listed.price", "calls": [], "region": ""}, "no region"),
            ([], "must be a mapping"),
        ],
    )
    def test_mistakes(self, caches, wrong, said):
        """Of a list, all are declared or none; the message says which is wrong."""
        good = {"function": "warm_listed.price", "calls": [[1]], "region": "prices"}
        if isinstance(wrong, dict):
            wrong = {"region": "prices", **wrong}
        with pytest.raises(errors.ConfigurationError, match="warming") as raised:
            caches.warming_from_config([good, wrong])
        assert said in str(raised.value)
        assert not caches["prices"].warmings

    def test_an_ini_file(self, caches, tmp_path):
        """A section's name is its group, unless it says another."""
        path = tmp_path / "shop.ini"
        path.write_text(
            "[warm:front]\nregion = prices\nfunction = warm_listed.price\n"
            'calls = [[1], {"article": 2}]\n'
            "[warm:more]\nregion = prices\nfunction = warm_listed.price\n"
            "calls = warm_listed.best\ngroup = front\n"
        )
        caches.warming_from_ini(path)
        assert len(came_to(caches, groups=["front"])) == 4
        path.write_text("[warm:x]\nregion = prices\ncalls = [1\n")
        with pytest.raises(errors.ConfigurationError, match=r"\[warm:x\]: calls must"):
            caches.warming_from_ini(path)


def test_a_registry_s_regions(memory, prices):
    """All of a registry, a list, or one of them."""
    caches = Registry()
    for name in ("one", "two"):
        region = caches.region(name).configure("holdover.memory", 60)
        region.warming(cached(region, prices), calls=[(name,)], group=name)
    assert set(came_to(caches)) == {"('one')", "('two')"}
    assert set(came_to([caches["two"]])) == {"('two')"}
    assert set(came_to(caches, groups=["one"])) == {"('one')"}
    assert Warmer(caches).total() == 2
