"""Libraries that were written for dogpile.cache work on regions of the preset."""

import itertools

import pytest
from mako.cache import register_plugin
from mako.template import Template
from oslo_cache import core as oslo
from oslo_config import cfg
from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    UserDefinedOption,
    loading,
    mapped_column,
)

from holdover import events
from holdover.dogpile import NO_VALUE, ProxyBackend, make_region

register_plugin("dogpile.cache", "dogpile.cache.plugins.mako_cache", "MakoPlugin")


@pytest.fixture
def region(backend_name, arguments, clock):
    """Give a region of the preset on each backend in turn, on the fake clock."""
    return make_region(time_source=clock).configure(backend_name, 10, arguments)


# -- Mako ----------------------------------------------------------------------

PAGE = """
<%page cached="True" cache_region="pages" cache_key="the page"/>
${next(numbers)}
"""

PART = """
<%def name="part()" cached="True" cache_region="pages" cache_timeout="20"
      cache_key="the part">${next(numbers)}</%def>
${part()} ${next(others)}
"""


def rendered(text, region):
    """Give a function that renders a template and tells its numbers."""
    template = Template(
        text, cache_impl="dogpile.cache", cache_args={"regions": {"pages": region}}
    )
    numbers, others = itertools.count(1), itertools.count(1)
    return template, lambda: template.render(numbers=numbers, others=others).split()


def test_a_mako_page_is_rendered_once(region, clock):
    """Mako's plug-in keeps a page in our region until it expires."""
    _, render = rendered(PAGE, region)
    assert ["1"] == render() == render()
    clock.advance(11)
    assert ["2"] == render() == render()


def test_a_mako_part_has_a_timeout_of_its_own(region, clock):
    """``cache_timeout`` overrides the region's expiration time."""
    _, render = rendered(PART, region)
    assert ["1", "1"] == render()
    clock.advance(11)
    assert ["1", "2"] == render()
    clock.advance(10)
    assert ["2", "3"] == render()


def test_a_mako_cache_is_invalidated(region):
    """Mako's ``template.cache`` reads and removes what is in our region."""
    template, render = rendered(PART, region)
    render()
    assert "1" == template.cache.get("the part", region="pages")
    template.cache.invalidate("the part", region="pages")
    assert NO_VALUE is template.cache.get("the part", region="pages")
    assert ["2", "2"] == render()


# -- SQLAlchemy ----------------------------------------------------------------


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "article"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Remembered(UserDefinedOption):
    """An option of a query: answer it from a region if you can."""

    propagate_to_loaders = False  # or it would be pickled with the rows

    def __init__(self, region, *, expiration_time=None):
        super().__init__()
        self.region = region
        self.expiration_time = expiration_time

    def answer(self, state):
        """Give the rows of a statement, from the region or else the database."""
        key = state.statement._generate_cache_key().to_offline_string(
            {}, state.statement, state.parameters or {}
        )
        frozen = self.region.get_or_create(
            key, lambda: state.invoke_statement().freeze(), self.expiration_time
        )
        return loading.merge_frozen_result(
            state.session, state.statement, frozen, load=False
        )()


@pytest.fixture
def sessions():
    """Make ORM sessions that ask the regions; give them with the SQL they sent."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Article(id=n, title=f"title {n}") for n in (1, 2, 3)])
        session.commit()
    sent = []
    event.listen(engine, "before_cursor_execute", lambda *given: sent.append(given[2]))

    def new_session():
        session = Session(engine)

        @event.listens_for(session, "do_orm_execute")
        def ask_the_region(state):
            for option in state.user_defined_options:
                if isinstance(option, Remembered):
                    return option.answer(state)
            return None

        return session

    yield new_session, sent
    engine.dispose()


def titles(session, number, option):
    """Ask for articles up to a number."""
    query = select(Article).where(Article.id <= number).order_by(Article.id)
    return [row.title for row in session.scalars(query.options(option))]


def test_a_query_is_answered_from_a_region(region, sessions):
    """The SQLAlchemy recipe: one SELECT per statement and parameters."""
    new_session, sent = sessions
    for _ in range(3):
        with new_session() as session:
            assert ["title 1", "title 2"] == titles(session, 2, Remembered(region))
            assert ["title 1"] == titles(session, 1, Remembered(region))
    assert 2 == len(sent)


def test_cached_rows_are_objects_of_the_session_that_asks(region, sessions):
    """What comes from the region can be changed and flushed like any other row."""
    new_session, sent = sessions
    with new_session() as session:
        titles(session, 1, Remembered(region))
    with new_session() as session:
        query = select(Article).where(Article.id <= 1).order_by(Article.id)
        (article,) = session.scalars(query.options(Remembered(region)))
        assert article in session
        article.title = "changed"
        session.commit()
    assert 1 == sum(statement.startswith("UPDATE") for statement in sent)


def test_a_cached_query_expires(region, sessions, clock):
    """A query's own expiration time holds."""
    new_session, sent = sessions
    option = Remembered(region, expiration_time=3)
    for wait, expected in ((0, 1), (2, 1), (2, 2)):
        clock.advance(wait)
        with new_session() as session:
            titles(session, 3, option)
        assert expected == len(sent)


# -- oslo.cache ----------------------------------------------------------------


@pytest.fixture
def configured():
    """Make regions as OpenStack's services do."""

    def make(region=None, **options):
        conf = cfg.ConfigOpts()
        oslo.configure(conf)
        group = [cfg.BoolOpt("caching", default=True), cfg.IntOpt("cache_time")]
        conf.register_opts(group, group="service")
        conf([], project="test")
        for name, value in {"enabled": True, **options}.items():
            conf.set_override(name, value, group="cache")
        region = region or make_region()
        return conf, oslo.configure_cache_region(conf, region)

    return make


class Counting(ProxyBackend):
    """A proxy as services add them by configuration."""

    reads = 0

    def get(self, key):
        type(self).reads += 1
        return self.proxied.get(key)


@pytest.fixture(params=["dogpile.cache.memory", "dogpile.cache.redis"])
def oslo_backend(request):
    """Give oslo.cache's options for two backends."""
    if "redis" not in request.param:
        return {"backend": request.param}
    port = request.getfixturevalue("redis_server").port
    return {"backend": request.param, "redis_server": f"127.0.0.1:{port}"}


def test_oslo_memoizes(configured, oslo_backend):
    """Its decorator caches methods, and they are invalidated with their object."""
    conf, region = configured(debug_cache_backend=True, **oslo_backend)
    memoize = oslo.get_memoization_decorator(conf, region, group="service")
    values = itertools.count(1)

    class Manager:
        @memoize
        def project(self, project_id):
            return next(values), project_id

    manager = Manager()
    assert (1, "a") == manager.project("a") == manager.project("a")
    assert (2, "b") == manager.project("b")
    manager.project.invalidate(manager, "a")
    assert (3, "a") == manager.project("a")
    manager.project.set((7, "a"), manager, "a")
    assert (7, "a") == manager.project("a") == manager.project.get(manager, "a")
    assert 3 == manager.project.refresh(manager, "a")[0] - 1
    region.invalidate()
    assert (5, "a") == manager.project("a")


def test_oslo_mangles_keys(configured):
    """It assigns a mangler after ``configure``, and every key goes through it once."""
    _, region = configured(backend="dogpile.cache.memory")
    region.set("key", 1)
    (stored,) = region.actual_backend._cache
    assert 40 == len(stored)
    assert region.key_mangler("key") == stored


def test_oslo_adds_proxies(configured):
    """Proxies named in its configuration see the reads."""
    path = f"{__name__}.Counting"
    _, region = configured(backend="dogpile.cache.memory", proxies=[path])
    Counting.reads = 0
    region.get("key")
    assert 1 == Counting.reads
    assert not isinstance(region.actual_backend, ProxyBackend)


def test_oslo_switches_caching_off(configured):
    """With caching off a decorated function runs every time."""
    conf, region = configured(enabled=False)
    memoize = oslo.get_memoization_decorator(conf, region, group="service")
    values = itertools.count(1)
    function = memoize(lambda: next(values))
    assert [1, 2] == [function(), function()]


def test_oslo_s_times_hold(configured):
    """A group's cache_time of 0 expires at once, as it is read at every call."""
    conf, region = configured(backend="dogpile.cache.memory", expiration_time=600)
    assert 600 == region.expiration_time
    memoize = oslo.get_memoization_decorator(conf, region, group="service")
    values = itertools.count(1)
    function = memoize(lambda: next(values))
    assert 1 == function() == function()
    conf.set_override("cache_time", 0, group="service")
    assert 2 == function()


def test_oslo_s_own_runner_is_kept(configured, clock):
    """A service's ``async_creation_runner`` gets the region, the key and a mutex."""
    seen = []

    def run(cache, key, creator, mutex):
        seen.append(key)
        cache.set(key, creator())
        mutex.release()

    made = make_region(async_creation_runner=run)
    _, region = configured(made, backend="dogpile.cache.memory", expiration_time=600)
    region.get_or_create("key", lambda: "old")
    assert "old" == region.get_or_create("key", lambda: "new", expiration_time=0)
    assert ["key"] == seen
    assert "new" == region.get("key")


def test_a_proxy_makes_a_region_work_as_dogpile_cache_does(region, heard):
    """On a backend of ours a proxy sees every value, and the region says so."""
    told = heard(region)
    region.wrap(Counting)
    assert [events.TierDropped] == [type(one) for one in told]
    assert 1 == region.get_or_create("key", lambda: 1)
    assert 1 == region.get("key") == region.get_or_create("key", lambda: 2)
