"""``region.cached(fetch)(x)``: cached where it is used, refreshed only by its like."""

import functools
import gc
import importlib
import itertools
import logging
import sys
import threading
import weakref
from pathlib import Path

import pytest
from celery import Celery
from standins import UnservedQueue

from holdover import CeleryRunner, LeaseTerms, allow_imports, events, make_region
from holdover.errors import (
    ConfigurationError,
    InvalidArgument,
    LazyValue,
    UnkeyableArgument,
    UnregisteredFunction,
)
from holdover.regions import importing
from holdover.regions.worker import CATALOGUE, carry_out

EXPIRY = 10.0


@pytest.fixture
def region(clock):
    """A region in memory."""
    made = make_region("r", time_source=clock)
    return made.configure("holdover.memory", EXPIRY, {"time_source": clock})


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    """An allow-list of this test alone."""
    listed = set()
    monkeypatch.setattr(importing, "_allowed", listed)
    return listed


@pytest.fixture
def pantry(monkeypatch):
    """The module of functions that nobody decorates, fresh."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.delitem(sys.modules, "pantry", raising=False)
    import pantry

    yield pantry
    for key in [key for key in CATALOGUE._entries if key[1].startswith("pantry:")]:
        del CATALOGUE._entries[key]


@pytest.fixture
def stocked(pantry, tmp_path):
    """The module's region, on a file, with a queue that nobody serves."""
    recorder = UnservedQueue(leaves_process=True)

    def configure(**settings):
        return pantry.shelf.configure(
            "holdover.file",
            60,
            {"path": tmp_path / "shelf"},
            lease=LeaseTerms(ttl=1.0, queue_ttl=60.0),
            replace_existing_backend=True,
            **{"runner": recorder, **settings},
        )

    configure()
    pantry.recorder, pantry.configure = recorder, configure
    return pantry


def order(stocked, **change):
    """Have a stale value's refresh ordered; give the message, changed."""
    call = stocked.shelf.cached(stocked.fetch)
    call(7)
    stocked.shelf.invalidate(hard=False)
    assert call(7) == [7, "ripe"]
    assert stocked.recorder.arrived.wait(20)
    return {**stocked.recorder.messages[0], **change}


def forget(monkeypatch):
    """Become a worker that has not imported the module yet, nor cached anything."""
    monkeypatch.delitem(sys.modules, "pantry")
    for key in [key for key in CATALOGUE._entries if key[1].startswith("pantry:")]:
        monkeypatch.delitem(CATALOGUE._entries, key)


# -- attacks -------------------------------------------------------------------

ATTACKS = {
    "a module that is not listed": "os:system",
    "a built-in": "builtins:eval",
    "a module that does not exist": "no_such_module:fetch",
    "a submodule": "pantry.sub:fetch",
    "a dotted walk": "pantry:Jar.opened",
    "a constructor": "pantry:Jar.__init__",
    "the insides of a function": "pantry:fetch.__globals__",
    "a class": "pantry:Jar",
    "an object that can be called": "pantry:opener",
    "a partial function": "pantry:partial",
    "what was imported from elsewhere": "pantry:borrowed",
    "the same by its own name": "pantry:system",
    "another name for a function": "pantry:alias",
    "a lambda": "pantry:anonymous",
    "a lambda by its own name": "pantry:<lambda>",
    "a hidden function": "pantry:__hidden",
    "what Python put there": "pantry:__loader__",
    "a module in the module": "pantry:functools",
    "a region's method": "pantry:shelf.invalidate",
    "nothing": "",
    "no function": "pantry:",
    "no module": ":fetch",
    "a relative module": ".pantry:fetch",
    "a path": "../pantry:fetch",
    "two functions": "pantry:fetch:system",
    "odd white space": "pantry: fetch",
    "a name that is not there": "pantry:fetsch",
}


@pytest.mark.parametrize("function", ATTACKS.values(), ids=ATTACKS)
def test_what_a_message_cannot_name(stocked, allowed, heard, caplog, function):
    """Nothing but a plain function at the top of a listed module is ever run."""
    allow_imports(["pantry"])
    message = order(stocked, function=function)
    told, runs = heard(stocked.shelf), list(stocked.RUNS)
    with caplog.at_level(logging.WARNING, "holdover"):
        outcome = carry_out(message)
    assert not outcome.done
    assert "no function" in outcome.reason
    assert "was dropped" in caplog.text
    assert [events.OrderDropped] == [type(event) for event in told]
    assert runs == stocked.RUNS
    with pytest.raises(UnregisteredFunction):
        CATALOGUE.find("shelf", function)


def test_a_module_that_is_not_listed_is_not_even_imported(tmp_path, monkeypatch):
    """A message makes no module run that the application has not listed."""
    (tmp_path / "trap_of_ours.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    region = make_region("trapped").configure("holdover.memory", 60)
    with pytest.raises(UnregisteredFunction, match="allow_imports"):
        region.find_for_order("trap_of_ours:fetch")
    assert "trap_of_ours" not in sys.modules


def test_a_listed_package_does_not_list_what_is_below(allowed):
    """A package's name lets its own functions be found, not its modules'."""
    allow_imports(["json"])
    region = make_region("packaged").configure("holdover.memory", 60)
    with pytest.raises(UnregisteredFunction, match="may not import"):
        region.find_for_order("json.decoder:scanstring")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("1 / 0", ZeroDivisionError),
        ("raise SystemExit('enough')", SystemExit),
        ("import no_such_module", ModuleNotFoundError),
        ("def fetch(: pass", SyntaxError),
    ],
)
def test_a_listed_module_that_cannot_be_imported(tmp_path, monkeypatch, source, error):
    """A module that raises is a dropped order, and the worker lives."""
    (tmp_path / "broken_of_ours.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    allow_imports(["broken_of_ours"])
    region = make_region("broken").configure("holdover.memory", 60)
    with pytest.raises(UnregisteredFunction, match=error.__name__) as found:
        region.find_for_order("broken_of_ours:fetch")
    assert isinstance(found.value.__cause__, error)


def test_a_message_needs_a_lease(stocked):
    """A listed function is not run for a call that nobody has ordered."""
    allow_imports(["pantry"])
    message = order(
        stocked, args=[8], key=stocked.shelf.cached(stocked.fetch).key_for(8)
    )
    outcome = carry_out(message)
    assert not outcome.done
    assert [7] == stocked.RUNS


@pytest.mark.parametrize(
    "wrong", ["pantry", ["pan try"], [""], ["pantry:fetch"], [None], ["pantry.*"]]
)
def test_what_cannot_be_listed(allowed, wrong):
    """Only full names of modules can be, and all of them or none."""
    with pytest.raises(ConfigurationError, match="full names"):
        allow_imports(["fine", *wrong] if isinstance(wrong, list) else wrong)
    assert allowed == set()


# -- refreshes elsewhere -------------------------------------------------------


def test_a_worker_imports_a_listed_module(stocked, monkeypatch):
    """A worker that knows nothing of the function finds it and carries out."""
    allow_imports(["pantry"])
    message = order(stocked)
    assert message["function"] == "pantry:fetch"
    region = stocked.shelf
    forget(monkeypatch)
    CATALOGUE.know("shelf", region)
    outcome = carry_out(message)
    assert (True, "refreshed") == (outcome.done, outcome.reason)
    assert [7] == sys.modules["pantry"].RUNS
    assert region.cached(stocked.fetch).get(7) == [7, "ripe"]
    assert not carry_out(message).done


def test_a_namespace_travels(stocked, monkeypatch):
    """The worker makes the same key, namespace and all."""
    allow_imports(["pantry"])
    call = stocked.shelf.cached(stocked.fetch, namespace="a|b:'c'")
    call(7)
    stocked.shelf.invalidate(hard=False)
    call(7)
    assert stocked.recorder.arrived.wait(20)
    region = stocked.shelf
    forget(monkeypatch)
    CATALOGUE.know("shelf", region)
    assert carry_out(stocked.recorder.messages[0]).done
    assert ("shelf", stocked.recorder.messages[0]["function"]) not in CATALOGUE._entries


def test_a_module_that_decorates_is_found_too(stocked, monkeypatch):
    """What the module itself registers while it is imported is carried out."""
    allow_imports(["pantry"])
    region = stocked.other.configure("holdover.memory", 60)
    forget(monkeypatch)
    found = CATALOGUE.find("another shelf", "pantry:shelved")
    assert found is CATALOGUE.registered("another shelf", "pantry:shelved")
    assert region is not sys.modules["pantry"].other


KEPT_HERE = {
    "a function that is not listed": lambda pantry: pantry.shelf.cached(pantry.fetch),
    "a lambda": lambda pantry: pantry.shelf.cached(lambda article: [article]),
    "a static method": lambda pantry: pantry.shelf.cached(pantry.Jar.opened),
    "an expiry of its own": lambda pantry: pantry.shelf.cached(
        pantry.fetch, expiration_time=50
    ),
    "ignored parameters": lambda pantry: pantry.shelf.cached(
        pantry.fetch, ignore=["sort"]
    ),
    "values that may not be stored": lambda pantry: pantry.shelf.cached(
        pantry.fetch, should_cache_fn=bool
    ),
}


@pytest.mark.parametrize("make", KEPT_HERE.values(), ids=KEPT_HERE)
def test_what_no_worker_would_do_is_done_here(stocked, heard, make):
    """A refresh that a worker would refuse, or do otherwise, is not sent away."""
    if make is not KEPT_HERE["a function that is not listed"]:
        allow_imports(["pantry"])
    refreshed = threading.Event()
    call = make(stocked)
    call(7)
    stocked.shelf.listen(
        lambda event: isinstance(event, events.Refreshed) and refreshed.set()
    )
    stocked.shelf.invalidate(hard=False)
    call(7)
    assert refreshed.wait(20)
    assert stocked.recorder.messages == []


def test_an_embedded_worker_thread_needs_no_list(stocked):
    """A worker in this very process carries out what this process has cached."""
    reports, done = [], threading.Event()

    def note(report):
        reports.append(report)
        done.set()

    stocked.configure(runner=CeleryRunner(on_outcome=note))
    call = stocked.shelf.cached(stocked.fetch)
    call(7)
    stocked.shelf.invalidate(hard=False)
    call(7)
    assert done.wait(20)
    assert reports[0].done
    assert [7, 7] == stocked.RUNS


def test_an_apps_own_modules_are_listed():
    """Modules that Celery's worker imports anyway need no second list."""
    app = Celery("listed", broker="redis://", include=["shop.prices"])
    app.set_current = None
    app.conf.imports = ["shop.stock"]
    assert ["shop.prices", "shop.stock"] == CeleryRunner(app).modules
    include = ["shop"]
    assert include == CeleryRunner(worker="process", include=include).modules


def test_a_worker_process_imports(stocked, tmp_path, monkeypatch):
    """A worker process finds functions of the modules that it includes."""
    done, reports = threading.Event(), []
    module = tmp_path / "larder_of_ours.py"
    module.write_text(
        "from holdover import LeaseTerms, make_region\n"
        "larder = make_region('larder').configure('holdover.file', 60,\n"
        f"    {{'path': {str(tmp_path / 'larder')!r}}},\n"
        "    lease=LeaseTerms(ttl=2.0, queue_ttl=90.0))\n"
        "def fetch(article):\n    return article * 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    larder = importlib.import_module("larder_of_ours")

    def note(report):
        reports.append(report)
        done.set()

    runner = CeleryRunner(worker="process", include=["larder_of_ours"], on_outcome=note)
    larder.larder.configure(
        "holdover.file",
        60,
        {"path": tmp_path / "larder"},
        runner=runner,
        lease=LeaseTerms(ttl=2.0, queue_ttl=90.0),
        replace_existing_backend=True,
    )
    try:
        assert larder.larder.cached(larder.fetch)(4) == 8
        larder.larder.invalidate(hard=False)
        assert larder.larder.cached(larder.fetch)(4) == 8
        assert done.wait(90)
        assert (True, "refreshed") == (reports[0].done, reports[0].reason)
    finally:
        runner.close()


# -- what is remembered --------------------------------------------------------


def double(x, factor=2):
    """Be at the top of a module."""
    return x * factor


def test_the_same_function_gives_the_same_wrapper(region):
    """Wrapping again costs a look-up, and gives the same."""
    assert region.cached(double) is region.cached(double)
    assert region.cached(double, namespace="n") is region.cached(double, namespace="n")
    uses = [
        region.cached(double),
        region.cached(double, namespace="n"),
        region.cached(double, namespace=""),
        region.cached(double, ignore=["factor"]),
        region.cached(double, expiration_time=3),
    ]
    assert len(uses) == len(set(map(id, uses)))
    assert region.cached(double, ignore=["x", "factor"]) is region.cached(
        double, ignore=("factor", "x")
    )


def test_inline_calls_are_cached(region):
    """``region.cached(fetch)(x)`` creates once, and has every handle."""
    numbers = itertools.count(1)

    def count(x):
        return next(numbers)

    assert region.cached(count)(5) == 1
    assert region.cached(count)(x=5) == 1
    assert region.cached(count).get(5) == 1
    region.cached(count).invalidate(5)
    assert region.cached(count)(5) == 2
    assert region.cached(count).refresh(5) == 3
    assert region.cached(count).original is count


def test_inline_and_decorated_share_their_values(region):
    """Both ways to write it mean the same call."""
    decorated = region.cache_on_arguments()(double)
    assert decorated.key_for(2) == region.cached(double).key_for(2)
    assert region.cached(decorated) is decorated


def test_nothing_is_kept_of_what_passes(region):
    """Lambdas that are made for one call leave nothing behind."""
    numbers = [region.cached(lambda x: x * 2)(number) for number in range(20)]
    assert numbers == [number * 2 for number in range(20)]
    passing = lambda x: x  # noqa: E731 - the case
    seen = weakref.ref(passing)
    assert region.cached(passing, namespace="p")(3) == 3
    del passing
    gc.collect()
    assert seen() is None
    assert len(region._inline._kept) == 0
    assert len(region._inline._held) == 0


def test_namespaces_of_passing_calls_are_not_kept(region):
    """Options that change with each call do not pile up."""
    for number in range(20):
        assert region.cached(double, namespace=str(number))(number) == number * 2
    gc.collect()
    assert len(region._inline._held) == 0


def test_two_threads_get_the_same(region):
    """Threads that wrap at once are given one wrapper."""
    barrier, found = threading.Barrier(8), []

    def wrap():
        barrier.wait()
        found.append(region.cached(double))

    threads = [threading.Thread(target=wrap) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id(region.cached(double))} == set(map(id, found))


class Account:
    """Has bound methods, and a key."""

    def __init__(self, number):
        self.number = number

    def __cache_key__(self):
        return self.number

    def balance(self, year):
        """Be called on an object."""
        return self.number * 1000 + year

    @classmethod
    def total(cls, year):
        """Be called on a class."""
        return cls.__name__, year


class Savings(Account):
    """Inherits."""


def test_bound_methods(region):
    """A bound method is keyed by its object; equal ones are one function."""
    one, two = Account(1), Account(2)
    assert region.cached(one.balance)(5) == 1005
    assert region.cached(two.balance)(5) == 2005
    assert region.cached(one.balance) == region.cached(one.balance)
    assert region.cached(one.balance) != region.cached(two.balance)
    assert region.cached(Account.balance) == region.cached(Account.balance)
    region.cached(one.balance).set(7, 5)
    assert region.cached(one.balance)(5) == 7
    assert region.cached(Account(1).balance)(year=5) == 7
    assert region.cached(two.balance)(5) == 2005
    assert region.cached(Account.balance)(one, 5) == 7
    assert region.cached(Account.total)(1) == ("Account", 1)
    assert region.cached(Savings.total)(1) == ("Savings", 1)


def test_a_bound_method_of_what_has_no_key(region):
    """It is told what to do; leaving the object out of the key is one way."""

    class Client:
        def fetch(self, x):
            return x

    with pytest.raises(UnkeyableArgument, match=r"ignore=\('self',\)"):
        region.cached(Client().fetch)(1)
    assert region.cached(Client().fetch, ignore=["self"])(1) == 1


# -- misuse --------------------------------------------------------------------


def test_closures_over_what_has_no_key(region):
    """A second object that no key could tell from the first is refused, not served."""

    def with_client(client, **options):
        return region.cached(lambda: repr(client), **options)()

    first = repr(client := object())
    assert with_client(client) == with_client(client) == first
    del client
    gc.collect()
    for _ in range(10):
        with pytest.raises(ConfigurationError, match="share their keys"):
            with_client(object())
    client = object()
    assert with_client(client, namespace="another") == repr(client)


def test_closures_over_different_values(region):
    """Two closures that would share a key do not share a value."""

    def add(number):
        return region.cached(lambda x: x + number)(1)

    assert add(1) == 2
    assert add(1) == 2
    with pytest.raises(ConfigurationError, match="share their keys"):
        add(2)


@pytest.mark.parametrize("wrong", [5, "fetch", None, property(double)])
def test_what_cannot_be_called(region, wrong):
    """What is no function is told of at once."""
    with pytest.raises(InvalidArgument, match="can be called"):
        region.cached(wrong)


def test_lazy_functions(region):
    """Generator functions cannot be cached inline either."""

    def generate():
        yield 1

    with pytest.raises(LazyValue):
        region.cached(generate)


def test_wrong_options(region):
    """Options are checked as the decorator's are."""
    with pytest.raises(TypeError, match="expiry"):
        region.cached(double, expiry=5)
    with pytest.raises(ConfigurationError):
        region.cached(double, expiration_time=-5)
    with pytest.raises(ConfigurationError, match=r"'factr'.*Did you mean 'factor'"):
        region.cached(double, ignore=["factr"])


def test_objects_that_cannot_be_remembered(region):
    """A callable without a hash is cached like others."""

    class Doubling:
        __hash__ = None

        def __call__(self, x):
            return x * 2

    doubling = Doubling()
    assert region.cached(doubling, namespace="d")(2) == 4


def test_partials(region):
    """A partial function is kept as long as somebody holds it."""
    half = functools.partial(double, factor=0.5)
    assert region.cached(half)(3) == 1.5
    assert region.cached(half) is region.cached(half)
