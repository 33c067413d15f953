"""Every mistake gets a typed error that names it."""

import builtins
import sys

import pytest
from dogpile.cache import exception as dogpile

from holdover import CeleryRunner, Registry, ThreadRunner, errors, make_region


def configured(**settings):
    """Configure a region in memory."""
    return make_region("misuse").configure("holdover.memory", 10, **settings)


def test_an_unknown_backend_lists_the_known_ones():
    """The message names the wrong one, the nearest, and all there are."""
    with pytest.raises(errors.UnknownName) as caught:
        make_region().configure("holdover.memroy")
    message = str(caught.value)
    assert "'holdover.memroy'" in message
    assert "Did you mean 'holdover.memory'?" in message
    assert "holdover.file" in message
    assert "dogpile.cache.dbm" in message
    assert isinstance(caught.value, dogpile.PluginNotFound)


def test_a_missing_library_names_the_extra(monkeypatch):
    """Without Celery, runner="celery" says what to install."""
    real = builtins.__import__

    def without_celery(name, *rest, **more):
        if name.split(".")[0] == "celery":
            raise ModuleNotFoundError("No module named 'celery'", name="celery")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_celery)
    for name in [
        n for n in sys.modules if n.startswith("holdover.regions.refresh.celery")
    ]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        errors.MissingDependency, match=r"pip install holdover\[celery\]"
    ):
        configured(runner="celery")


@pytest.mark.parametrize("wrong", [-5, 0, float("nan"), float("inf"), "10", True])
@pytest.mark.parametrize(
    "option",
    ["expiration_time", "stale_while_revalidate", "stale_if_error", "keep_for"],
)
def test_impossible_lifetimes(option, wrong):
    """Negative, NaN, infinite, and (for expiration_time) zero lifetimes are refused."""
    if wrong == 0 and wrong is not True and option != "expiration_time":
        return  # "never stale" is a fine thing to ask for
    with pytest.raises(errors.InvalidLifetime, match=f"{option} must be"):
        make_region().configure(
            "holdover.memory", **{"expiration_time": 10, option: wrong}
        )


def test_impossible_lifetimes_of_calls():
    """A call's and a decorator's own expiration_time are checked as well."""
    region = configured()
    with pytest.raises(errors.InvalidLifetime, match="expiration_time"):
        region.get_or_create("k", int, expiration_time=-7)
    with pytest.raises(errors.InvalidLifetime, match="expiration_time"):
        region.cache_on_arguments(expiration_time=0)


@pytest.mark.parametrize("term", ["ttl", "queue_ttl", "max_hold"])
def test_impossible_leases(term):
    """A lease's terms must be spans of time."""
    with pytest.raises(errors.InvalidLifetime, match=term):
        configured(lease={term: 0})
    with pytest.raises(errors.ConfigurationError, match=r"lease\.tll.*'lease\.ttl'"):
        configured(lease={"tll": 5})


def test_a_generator_as_a_value():
    """A generator is refused by name."""
    with pytest.raises(errors.LazyValue, match="'generator'"):
        configured().get_or_create("k", lambda: (n for n in [1]))


@pytest.mark.parametrize("key", [5, None, b"k", ("k",)])
def test_a_key_that_is_no_text(key):
    """A key of another type is refused, and shown."""
    region = configured()
    for use in (
        lambda: region.get(key),
        lambda: region.set(key, 1),
        lambda: region.delete(key),
        lambda: region.get_or_create(key, int),
    ):
        with pytest.raises(errors.InvalidArgument, match="key must be a str"):
            use()


def test_a_creator_that_cannot_be_called():
    """A creator that is no function is refused."""
    with pytest.raises(errors.InvalidArgument, match="creator must be callable"):
        configured().get_or_create("k", None)


def test_a_decorator_without_parentheses():
    """The commonest slip of the pen is told of by name."""
    with pytest.raises(errors.InvalidArgument, match="with parentheses"):
        configured().cache_on_arguments(int)


def test_lazy_functions_are_refused_when_decorated():
    """A generator function or an async def can never be cached."""
    region = configured()

    def generate():
        yield 1

    async def wait():
        return 1

    for function, kind in ((generate, "a generator function"), (wait, "an async def")):
        with pytest.raises(errors.LazyValue, match=kind):
            region.cache_on_arguments()(function)


def test_use_before_configuration():
    """A region that is not configured says so, whatever is asked of it."""
    region = make_region("early")

    @region.cache_on_arguments()
    def price(article):
        return article

    for use in (
        lambda: price(1),
        lambda: price.get(1),
        lambda: price.invalidate(1),
        lambda: region.get("k"),
        lambda: region.set("k", 1),
        lambda: region.delete("k"),
        region.invalidate,
        lambda: region.get_or_create("k", int),
        lambda: region.get_or_create_multi(["k"], lambda *k: k),
        lambda: region.add("k", 1),
        lambda: region.get_multi(["k"]),
        lambda: region.key_is_locked("k"),
    ):
        with pytest.raises(errors.RegionNotConfigured, match="'early'"):
            use()
    assert issubclass(errors.RegionNotConfigured, dogpile.RegionNotConfigured)


def test_configured_twice():
    """A second configure() is refused unless it says that it replaces."""
    region = configured()
    with pytest.raises(errors.RegionAlreadyConfigured, match="'misuse'"):
        region.configure("holdover.memory")
    region.configure("holdover.memory", replace_existing_backend=True)


def test_a_failed_configuration_leaves_the_region_as_it_was():
    """What was configured goes on working after a wrong reconfiguration."""
    region = configured()
    region.set("k", 1)
    with pytest.raises(errors.ConfigurationError):
        region.configure("holdover.file", replace_existing_backend=True)
    assert region.get("k") == 1
    assert region.expiration_time == 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"expires": 5}, "no option 'expires'"),
        ({"stale_while_revalidat": 5}, "'stale_while_revalidate'"),
        ({"on_miss": "wiat"}, "'wait'"),
        ({"on_timeout": 3}, "'create', 'raise'|create, raise"),
        ({"on_miss": "empty"}, "needs a runner"),
        ({"runner": "cellery"}, "'celery'"),
        ({"runner": 5}, "runner must be"),
        ({"codec": "jsno"}, "'json'"),
        ({"arguments": {"max_entires": 5}}, "'max_entries'"),
        ({"arguments": {"max_entries": 0}}, "above 0"),
    ],
)
def test_wrong_options(settings, message):
    """Each wrong option is named, with the nearest right one."""
    with pytest.raises(errors.ConfigurationError, match=message):
        configured(**settings)


def test_a_backend_that_is_none():
    """What is neither a name nor a backend is shown."""
    with pytest.raises(errors.ConfigurationError, match="backend must be"):
        make_region().configure(42)


@pytest.mark.parametrize("wrong", [5, None, "time", object()])
def test_clocks_that_are_none(wrong):
    """They are refused where they are given, to a region and to a backend."""
    with pytest.raises(errors.ConfigurationError, match="time_source must have wall"):
        make_region("clocks", time_source=wrong)
    with pytest.raises(errors.ConfigurationError, match="time_source must have wall"):
        make_region("clocks").configure(
            "holdover.memory", 1, arguments={"time_source": wrong}
        )


@pytest.mark.parametrize(
    ("backend", "arguments"),
    [
        ("holdover.sql", {"url": "sqlite:///{}/a.db", "operation_timeout": 1e30}),
        ("holdover.sql", {"url": "sqlite:///{}/a.db", "max_connections": 10**9}),
        ("holdover.redis", {"url": "redis://127.0.0.1:1", "socket_timeout": 1e30}),
        ("holdover.memcached", {"url": "127.0.0.1:1", "socket_timeout": 1e30}),
    ],
)
def test_bounds_that_no_system_has(tmp_path, backend, arguments):
    """They are refused at once, and not when somebody has to wait."""
    arguments = {**arguments, "url": arguments["url"].format(tmp_path)}
    option = list(arguments)[1]
    with pytest.raises(errors.ConfigurationError, match=f"{option} must be"):
        make_region("bounds").configure(backend, 1, arguments=arguments)


def test_figures_that_nobody_would_write():
    """The thread that writes them would end with an error of its own."""
    with pytest.raises(errors.ConfigurationError, match="figures_every must be"):
        make_region("figures").configure("holdover.memory", 1, figures_every=1e30)


def test_a_file_backend_without_a_path():
    """holdover.file asks for its directory."""
    with pytest.raises(errors.ConfigurationError, match="'path'"):
        make_region().configure("holdover.file")


class TestQueueRunners:
    def test_a_closure_cannot_be_found_by_a_worker(self, tmp_path):
        """A function that no worker could import is refused, before or after."""
        region = make_region("queue")

        def closure(x):
            return x

        decorated = region.cache_on_arguments()(closure)
        with pytest.raises(errors.UnimportableFunction, match="closure"):
            region.configure("holdover.file", 10, {"path": tmp_path}, runner="celery")
        assert not region.is_configured
        assert decorated.original is closure

    def test_a_lambda_is_refused_when_decorated(self, tmp_path):
        """The same when the region was configured first."""
        region = make_region("queue")
        region.configure("holdover.file", 10, {"path": tmp_path}, runner=CeleryRunner())
        with pytest.raises(errors.UnimportableFunction, match="lambda"):
            region.cache_on_arguments()(lambda x: x)

    def test_the_main_script_cannot_be_imported(self, tmp_path):
        """A function of __main__ is refused where a worker process would need it."""
        region = make_region("queue")
        region.configure(
            "holdover.file",
            10,
            {"path": tmp_path},
            runner=CeleryRunner(worker="process", include=["shop"]),
        )
        function = type(lambda: 0)(
            (lambda x: x).__code__, {"__name__": "__main__"}, "f"
        )
        function.__qualname__ = "f"
        assert function.__module__ == "__main__"
        with pytest.raises(errors.UnimportableFunction, match="main script"):
            region.cache_on_arguments()(function)

    def test_a_region_without_a_name(self):
        """A worker finds regions by name, so one is needed."""
        with pytest.raises(errors.ConfigurationError, match="needs a name"):
            make_region().configure("holdover.memory", runner=CeleryRunner())

    def test_memory_and_another_process(self):
        """A worker process could not reach this process's memory."""
        runner = CeleryRunner(worker="process", include=["shop"])
        with pytest.raises(errors.ConfigurationError, match="not shared"):
            configured(runner=runner)

    def test_a_worker_process_needs_modules(self):
        """A process that imports nothing knows no function."""
        with pytest.raises(errors.ConfigurationError, match="include"):
            CeleryRunner(worker="process")

    def test_filesystem_brokers_are_refused(self):
        """The broker that loses messages is refused, with the reason."""
        from celery import Celery

        app = Celery("x", broker="filesystem://", set_as_current=False)
        with pytest.raises(errors.ConfigurationError, match="loses messages"):
            CeleryRunner(app)

    def test_impossible_thread_pools(self):
        """A pool without threads would never refresh."""
        with pytest.raises(errors.ConfigurationError, match="threads"):
            ThreadRunner(threads=0)


class TestRegistry:
    def test_errors_name_the_region(self):
        """Of several regions, the wrong one is named."""
        with pytest.raises(errors.ConfigurationError, match="region 'prices'"):
            Registry().configure({"prices": {"backend": "holdover.memory", "x": 1}})

    def test_no_backend(self):
        """A region for which no backend is given is named."""
        with pytest.raises(errors.ConfigurationError, match="'prices': no backend"):
            Registry().configure({"prices": {}})

    def test_a_name_is_a_text(self):
        """A region's name is a text that is not empty."""
        with pytest.raises(errors.ConfigurationError, match="name is a text"):
            Registry().region("")
