"""An application that was written for Beaker moves by changing its imports."""

import importlib
import re
import types
from collections import defaultdict
from pathlib import Path

import beaker.cache
import beaker.middleware
import pytest
import webtest
from mako.cache import register_plugin
from mako.template import Template

import holdover
from holdover.regions import beaker as spelling
from holdover.wsgi.beaker import (
    Cache,
    CacheManager,
    CacheMiddleware,
    CookieSession,
    Session,
    SessionObject,
)

SITE = Path(__file__).with_name("beaker_site.py")
DOCS = Path(holdover.__file__).parents[1] / "docs"
MODULES = ("cache", "util", "session", "middleware", "exceptions")
# What Beaker cannot do there: Redis refuses the negative ttl that it sends.
FAILING = defaultdict(set, {"ext:redis": {"over", "over-fails"}})
MADE = {
    "CacheManager": ("cache", CacheManager),
    "Cache": ("cache", lambda: Cache("name")),
    "CacheMiddleware": ("middleware", lambda: CacheMiddleware(print)),
    "Session": ("session", lambda: Session({})),
    "SessionObject": ("session", lambda: SessionObject({})),
    "CookieSession": ("session", lambda: CookieSession({}, validate_key="v" * 32)),
}

register_plugin("beaker", "mako.ext.beaker_cache", "BeakerCacheImpl")


def loaded(*, moved):
    """Give the site as a module, with Beaker's imports or with ours."""
    text = SITE.read_text()
    if moved:
        text = text.replace("from beaker.", "from holdover.wsgi.beaker.")
    module = types.ModuleType("moved_site" if moved else "beaker_site")
    exec(compile(text, str(SITE), "exec"), vars(module))
    return module


def config_for(kind, folder, request):
    """Give the configuration of a site whose values are kept there."""
    config = {
        "cache.regions": "short, long",
        "cache.type": kind,
        "cache.lock_dir": str(folder / "locks"),
        "cache.key_length": "200",
        "cache.short.expire": "60",
        "cache.long.expire": "3600",
    }
    if kind in ("file", "dbm"):
        config["cache.data_dir"] = str(folder / "data")
    if kind == "ext:redis":
        config["cache.url"] = request.getfixturevalue("redis_server").url
        config |= {f"cache.{one}.url": config["cache.url"] for one in ("short", "long")}
    return config


def told(site, config):
    """Have the site answer all its paths, one after the other."""
    client = webtest.TestApp(site.application(config))
    paths = site.answers(site.standalone(config)).keys() - FAILING[config["cache.type"]]
    return {path: client.get(f"/{path}").text for path in sorted(paths)}


@pytest.mark.filterwarnings("ignore::holdover.errors.UnsignedPickleWarning")
@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
@pytest.mark.parametrize("kind", ["memory", "file", "dbm", "ext:redis"])
def test_it_answers_as_before(kind, tmp_path, request):
    """Every path gives with Holdover what it gave with Beaker.

    In a database, Beaker's own caches do not see each other's invalidations.
    """
    found = {}
    for moved in (False, True):
        folder = tmp_path / str(moved)
        folder.mkdir()
        found[moved] = told(loaded(moved=moved), config_for(kind, folder, request))
    assert len(found[False]) > 20
    assert found[True] == found[False]


def test_mako_s_plugin_takes_the_manager(counter):
    """Mako's cache for Beaker works on ours, ``starttime`` of templates included."""
    manager = CacheManager(cache_regions={"pages": {"type": "memory", "expire": 60}})
    template = Template(
        '<%page cached="True" cache_region="pages" cache_key="page"/>${next()}',
        cache_impl="beaker",
        cache_args={"manager": manager},
    )
    assert [template.render(next=counter) for _ in range(2)] == ["1", "1"]
    template.cache.invalidate("page", region="pages")
    assert template.render(next=counter) == "2"


# -- nothing is forgotten --------------------------------------------------------


def public(module):
    """Give the public names of a module of Beaker's that are Beaker's own."""
    return {
        name
        for name, held in vars(module).items()
        if not name.startswith("_")
        and not isinstance(held, types.ModuleType)
        and getattr(held, "__module__", "beaker").startswith("beaker")
    }


def page():
    """Give the page for who comes from Beaker."""
    return (DOCS / "beaker.rst").read_text()


def unmatched():
    """Give the names that the page says are not there."""
    _, _, table = page().partition("\nWhat is not there\n")
    return set(re.findall(r"``([\w.:*]+)``", table))


def reasons():
    """Give the reasons of that page; where both columns are written, one begins."""
    _, _, after = page().partition("\nWhat is not there\n")
    _, rule, _, _, table, *_ = re.split(r"^(=+  =+)\n", after, flags=re.MULTILINE)
    column = rule.index(" =") + 1
    rows = [(line[:column].strip(), line[column:]) for line in table.splitlines()]
    return {reason for names, reason in rows if names and reason}


def test_each_reason_is_that_it_is_beaker_s_inside():
    """What else is not there is there for security, as the page says below."""
    found = reasons()
    assert len(found) > 8
    assert [one for one in found if not one.startswith("internal: ")] == []
    assert "Security rules, besides: no" in page()


@pytest.mark.parametrize("name", MODULES)
def test_every_name_is_there_or_on_the_page(name):
    """Whatever a module of Beaker's has, ours has, or the page gives the reason."""
    theirs = importlib.import_module(f"beaker.{name}")
    ours = importlib.import_module(f"holdover.wsgi.beaker.{name}")
    missing = {one for one in public(theirs) if not hasattr(ours, one)}
    assert missing <= unmatched()


@pytest.mark.parametrize("name", MADE)
def test_every_method_is_there(name):
    """No public method and no operator of Beaker's classes is missing."""
    module, make = MADE[name]
    theirs = getattr(importlib.import_module(f"beaker.{module}"), name)
    wanted = {one for one in dir(theirs) if one.startswith("__") or one[0] != "_"}
    wanted.discard("__getattr__")  # what it leads to is asked for by itself
    ours = make()
    assert {one for one in wanted if not hasattr(ours, one)} <= unmatched()


def test_the_page_says_nothing_of_what_is_there():
    """Nothing is listed as missing that has come meanwhile."""
    there = {
        one
        for name in MODULES
        for one in dir(importlib.import_module(f"holdover.wsgi.beaker.{name}"))
    }
    assert unmatched() & there == set()


def test_every_type_is_on_the_page():
    """The page says of each of Beaker's types what stands in its place."""
    types_ = set(beaker.cache.clsmap._clsmap)
    assert len(types_) > 8
    assert {one for one in types_ if f"``{one}``" not in page()} == set()


def test_every_option_is_on_the_page():
    """The page says of each option whether it works, and else why not."""
    options = spelling.SUPPORTED | {"regions"}
    options |= spelling.WITHOUT_EFFECT.keys()
    assert {one for one in options if f"``{one}``" not in page()} == set()
