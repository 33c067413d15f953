"""Code as a user writes it, for mypy and pyright; it is checked, and never run.

Each line that must be an error carries the checkers' ignore comments, which are errors
themselves where there is nothing to ignore.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Protocol, assert_type

from dogpile.cache.api import NoValue

from holdover import (
    NO_VALUE,
    Cached,
    CeleryRunner,
    Delivery,
    Figures,
    FleetFigures,
    Held,
    Histogram,
    HotCall,
    Inspection,
    Lifetime,
    Looked,
    ProcessFigures,
    Region,
    Run,
    Schedule,
    Scheduler,
    Tally,
    WarmCall,
    Warmed,
    Warmer,
    Warming,
    allow_imports,
)
from holdover import make_region as make
from holdover.testing import ChaosBackend, ChaosCodec, ChaosRunner, ToxicProxy, toxics
from holdover.wsgi import (
    BeakerSessions,
    PyramidSessions,
    Session,
    SessionOptions,
    Sessions,
    UserSession,
)

region = make("typed")


@region.cache_on_arguments(namespace="ns", expiration_time=60, ignore=("shop",))
def price(item: int, shop: str = "x", *, net: bool = False) -> float:
    """Be a function."""
    return 1.0 if net else item


# -- functions -----------------------------------------------------------------

assert_type(price(1), float)
assert_type(price(item=1, shop="y", net=True), float)
assert_type(price.get(1, net=True), float | NoValue)
assert_type(price.refresh(1), float)
assert_type(price.key_for(1, "y"), str)
price.set(2.5, 1, shop="y")
price.invalidate(1, net=True)
assert_type(price.with_task_options(queue="urgent")(1), float)
price.with_task_options(queue="urgent").expire(1)
plain: Callable[[int], float] = price
original: Callable[[int, str], float] = price.original

found = price.get(1)
if found is not NO_VALUE:
    assert_type(found, float)

price("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
price()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
price(1, gross=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
price.get("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
price.set("dear", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
price.set(1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
price.refresh(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
price.forget(1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
text: str = price(1)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


@region.cache_on_arguments()
def nothing() -> list[str]:
    """Take nothing."""
    return []


assert_type(nothing(), list[str])
assert_type(nothing.get(), list[str] | NoValue)


@region.cache_on_arguments()
def of_class(kind: type[int], x: int) -> int:
    """Take a class first, and be no class method."""
    return kind(x)


assert_type(of_class(int, 5), int)
assert_type(of_class.get(int, 5), int | NoValue)


# -- methods -------------------------------------------------------------------


class Shop:
    """Has one of each kind."""

    @region.cache_on_arguments()
    def method(self, x: int) -> str:
        return str(x)

    @classmethod
    @region.cache_on_arguments()
    def class_inside(cls, x: int) -> str:
        return str(x)

    @region.cache_on_arguments()
    @classmethod
    def class_outside(cls, x: int) -> str:
        return str(x)

    @staticmethod
    @region.cache_on_arguments()
    def static_inside(x: int) -> str:
        return str(x)

    @region.cache_on_arguments()
    @staticmethod
    def static_outside(x: int) -> str:
        return str(x)

    @property
    @region.cache_on_arguments()
    def total(self) -> int:
        return 5

    def user(self) -> str:
        assert_type(self.method.get(1), str | NoValue)
        return self.method(1)


class Branch(Shop):
    """Inherits."""

    # Pyright holds a decorated method for a variable, whose type may not change.
    @region.cache_on_arguments()
    def method(self, x: int) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return super().method(x)


shop = Shop()
assert_type(shop.method(1), str)
assert_type(shop.method(x=1), str)
assert_type(shop.method.get(1), str | NoValue)
assert_type(shop.method.refresh(1), str)
shop.method.set("value", 1)
shop.method.invalidate(1)
assert_type(Shop.method(shop, 1), str)
assert_type(Shop.method.get(shop, 1), str | NoValue)
assert_type(Branch().method(1), str)
bound: Callable[[int], str] = shop.method
unbound: Callable[[Shop, int], str] = Shop.method
assert_type(Shop.class_inside(1), str)
assert_type(Shop.class_outside(1), str)
assert_type(Shop.class_outside.get(1), str | NoValue)
assert_type(shop.class_outside.get(x=1), str | NoValue)
assert_type(Shop.static_inside(1), str)
assert_type(Shop.static_outside.get(1), str | NoValue)
assert_type(shop.total, int)

shop.method("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
shop.method()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
shop.method.get(shop, 1)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
shop.method.set(1, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Shop.method(1)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
Shop.class_outside.get("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Shop.static_outside("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Priced(Protocol):
    """What has such a method."""

    def method(self, x: int, /) -> str:
        """Price."""
        ...


# Pyright does not bind a member before it compares it with a protocol's.
priced: Priced = shop  # pyright: ignore[reportAssignmentType]

# -- inline --------------------------------------------------------------------


def fetch(x: int, *, deep: bool = False) -> dict[str, int]:
    """Be cached where it is used."""
    return {"x": x, "deep": deep}


assert_type(region.cached(fetch)(1, deep=True), dict[str, int])
assert_type(region.cached(fetch, namespace="n").get(1), dict[str, int] | NoValue)
assert_type(region.cached(shop.user)(), str)
assert_type(region.cached(len)([1]), int)
region.cached(fetch, expiration_time=timedelta(minutes=1))
region.cached(fetch)("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
region.cached(fetch, expires=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
region.cached(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# -- the region ----------------------------------------------------------------

assert_type(region, Region)
assert_type(region.get_or_create("key", lambda: 5), int)
assert_type(region.get_or_create("key", nothing), list[str])
region.configure("holdover.memory", 60, stale_while_revalidate=10)
region.set("key", 5, lifetime=Lifetime(expiration_time=5.0))
value: Any = region.get("key")
allow_imports(["shop.prices"])
allow_imports([5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
CeleryRunner(worker="process", include=["shop.prices"])

# -- many values, and values with rules of their own ---------------------------


@region.cache_multi_on_arguments()
def names(*articles: int) -> list[str]:
    """Make many."""
    return [str(one) for one in articles]


@region.cache_multi_on_arguments(asdict=True)
def stock(*articles: int) -> dict[int, float]:
    """Make many, by id."""
    return dict.fromkeys(articles, 1.0)


assert_type(names(1, 2), list[str])
assert_type(stock(1, 2), dict[int, float])
assert_type(names.refresh(1), list[str])
assert_type(names.key_for(1), str)
names.invalidate(1, 2)
names("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@region.cache_on_arguments()
def page(path: str) -> Cached[str]:
    """Bring rules of its own."""
    return Cached(path, expiration_time=60)


@region.cache_on_arguments()
def shelf(number: int) -> Cached[str] | str:
    """Bring them sometimes."""
    return Cached("empty", store=False) if number else "full"


assert_type(page("/"), str)
assert_type(page.get("/"), str | NoValue)
assert_type(shelf(4), str)

assert_type(region.inspect("key"), Inspection)
assert_type(region.expire("key"), Delivery)
lease = region.lease("key")
if lease is not None:
    with lease:
        assert_type(lease.commit(5), bool)
        assert_type(lease.is_held, bool)
assert_type(region.get_or_lease("key"), Looked)
assert_type(region.get_or_lease_multi(["key"]), list[Looked])

# -- figures -------------------------------------------------------------------

assert_type(region.figures(), Figures)
assert_type(region.figures() + region.figures(), Figures)
assert_type(region.figures().since(region.figures()).stale, Histogram)
assert_type(region.fleet_figures(), FleetFigures)
assert_type(region.fleet_figures().living, tuple[ProcessFigures, ...])
assert_type(region.fleet_figures().per_second(lambda one: one.hits), float)
assert_type(region.ping(), float)

# -- schedules -----------------------------------------------------------------


def mend(run: Run) -> None:
    """Hear of a failed run."""
    assert_type(run.error, str)


assert_type(region.schedule(price, every=timedelta(minutes=5), args=[1]), Schedule)
region.schedule(command=["date"], cron="0 3 * * *", on_error=mend, name="date")
region.schedule(price, every="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
region.schedule(price, evry=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
assert_type(region.history("date"), list[Run])
assert_type(Scheduler(region, threads=2).run_once(), list[Run])
Scheduler([region, make("other")]).start()

# -- sessions ------------------------------------------------------------------

sessions = Sessions({"store": "memory://"})
session = sessions.open({"theme": "dark"})
assert_type(session, Session)
session["visits"] = session.get("visits", 0) + 1
assert_type(session.save(), bool)
assert_type(session.user, str | None)
assert_type(session.set_cookie, str | None)
assert_type(sessions.of_user("ann"), list[UserSession])
sessions.end_all("ann", except_=session)
sessions.end_all("ann", session)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
session[5] = 1  # type: ignore[index]  # pyright: ignore[reportArgumentType]
SessionOptions(store="cookie", secret=["new", "old"], samesite="Strict")
SessionOptions(samesite="lax")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
SessionOptions(migrate=BeakerSessions(type="file", data_dir="/var/lib/shop"))
assert_type(PyramidSessions({"store": "memory://"}).sessions, Sessions)

held = region.hold("key")
if held is not None:
    assert_type(held.replace(5), Held | None)

# -- warming -------------------------------------------------------------------


def bestsellers() -> Iterator[tuple[int]]:
    """Give calls."""
    yield (17,)


@region.warming(calls=[(17,), {"item": 18}, WarmCall((19,), {"net": True})])
@region.cache_on_arguments()
def fast(item: int, *, net: bool = False) -> float:
    """Be warm."""
    return 1.0 if net else item


assert_type(fast(1), float)
assert_type(fast.get(1), float | NoValue)
assert_type(region.warming(price, calls=bestsellers, group="front"), Warming)
region.warming(names, calls=[(1, 2, 3)])
region.warming(shop.method, calls=[(1,)])
region.warming(price)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
region.warming(price, calls=[5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
warmer = Warmer(region, groups=["front"], threads=2, timeout=60.0)
assert_type(warmer.run(), Iterator[Warmed])
assert_type(warmer.warm(), Tally)
assert_type(region.hot(), list[HotCall])
region.schedule(warmer.warm, every=60, value=False)

# -- testing -------------------------------------------------------------------

chaos = ChaosBackend(region.backend, failing=0.1, seed=1, verbs={"commit"})
region.backend = chaos
chaos.trouble(slow=1.0)
ChaosBackend(region.backend, failing="often")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
region.configure(
    chaos, codec=ChaosCodec("json", failing=0.1), runner=ChaosRunner("rq", losing=0.1)
)


def shouting(stream: toxics.Stream, data: bytes) -> Iterator[bytes]:
    """Change what comes."""
    stream.wait(0.1)
    yield data.upper()


with ToxicProxy("localhost:6379") as proxy:
    assert_type(proxy.through("redis://localhost/0"), str)
    proxy.replies = toxics.chain(toxics.latency(0.2, jitter=0.1), shouting)
    proxy.requests = toxics.Swap()
    proxy.requests = toxics.latency  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
