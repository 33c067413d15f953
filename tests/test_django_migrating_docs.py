"""The page about migrations: its commands, its settings and its calls run."""

import ast
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
from django.core.cache import CacheHandler
from django.core.management import call_command
from django.utils.module_loading import import_string
from django_caches import add_database

from holdover.contrib_django import RegionCache

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "django_migrating.rst").read_text()
OURS = "holdover.contrib_django.RegionCache"
BUILT_IN = """
CACHES = {{
    "default": {{
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "unique-snowflake",
        "OPTIONS": {{"MAX_ENTRIES": 50, "CULL_FREQUENCY": 2}},
    }},
    "files": {{
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": "{files}",
        "TIMEOUT": 60,
    }},
    "redis": {{
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ["{redis}", "redis://replica.example.org/0"],
        "OPTIONS": {{"db": "3"}},
    }},
    "memcached": {{
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": "{memcached}",
        "KEY_PREFIX": "shop",
    }},
    "two servers": {{
        "BACKEND": "django.core.cache.backends.memcached.PyLibMCCache",
        "LOCATION": ["{memcached}"],
        "VERSION": 2,
    }},
    "database": {{
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "my_cache_table",
    }},
}}
"""


def blocks(language):
    """Give the page's blocks in a language."""
    found = re.findall(
        rf"^( *)\.\. code-block:: {language}\n\n((?:\1 +.*\n|\n)+)", PAGE, re.MULTILINE
    )
    return [textwrap.dedent(text) for _, text in found]


def settings_of(text):
    """Give what settings say."""
    names = {}
    exec(text, names)
    return names["CACHES"]


def kept(settings):
    """Give the caches of settings, each of which has kept something."""
    handler = CacheHandler(settings)
    for alias in settings:
        handler[alias].set("key", [alias], 60)
        assert handler[alias].get("key") == [alias]
    return {alias: handler[alias] for alias in settings}


@pytest.fixture
def file_database(tmp_path, monkeypatch):
    """The alias of a database in a file."""
    return add_database(
        monkeypatch,
        {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "site.db")},
    )


@pytest.fixture
def places(tmp_path, redis_server, memcached_server):
    """Where the project's caches keep their entries."""
    return {
        "files": tmp_path / "cache",
        "redis": redis_server.url,
        "memcached": memcached_server.url,
    }


def test_the_built_in_caches(tmp_path, settings, places, file_database):
    """Two commands change the settings, and each cache works at its place."""
    (tmp_path / "shop").mkdir()
    path = tmp_path / "shop" / "settings.py"
    path.write_text(BUILT_IN.format(**places))
    assert all(
        import_string(one["BACKEND"]) for one in settings_of(path.read_text()).values()
    )
    for command in blocks("shell"):
        subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    changed = settings_of(path.read_text())
    assert {one["BACKEND"] for one in changed.values()} == {OURS}
    assert changed["database"]["LOCATION"] == "django-db://default/holdover_cache"
    changed["database"]["LOCATION"] = f"django-db://{file_database}/holdover_cache"
    found = kept(changed)
    assert found["two servers"].version == 2
    assert found["memcached"].key_prefix == "shop"
    settings.CACHES = changed
    call_command("holdover_createtable", "database", "--dry-run")


def test_django_redis(redis_server):
    """Its settings become ours, which nothing is wrong with."""
    before, after = (
        settings_of(text.replace("redis://127.0.0.1:6379/1", redis_server.url))
        for text in blocks("python")[:2]
    )
    old, new = before["default"], after["default"]
    assert new["BACKEND"] == OURS
    same = ("LOCATION", "TIMEOUT", "KEY_PREFIX")
    assert [old[name] for name in same] == [new[name] for name in same]
    [cache] = kept(after).values()
    assert isinstance(cache, RegionCache)
    assert cache.region.inspect(cache.make_key("key")).codec == "json"
    assert cache.region.backend.connection_kwargs["health_check_interval"] == 30


def test_calls_of_django_redis(redis_server, settings):
    """What is written for them does what they did."""
    text = blocks("python")[2]
    assert ast.parse(text)
    settings.CACHES = {"default": {"BACKEND": OURS, "LOCATION": redis_server.url}}
    cache = CacheHandler(settings.CACHES)["default"]
    cache.set_many({"a": 1, "user:5": 5, "user:6": 6, "use": 1}, 10)
    cache.set("b", 2, 10)
    names = {}
    exec(text, names)
    assert 55 < names["seconds"] <= 60
    assert cache.region.inspect(cache.make_key("b")).expires_in is None
    assert cache.get_many(["a", "b", "c", "visits", "use", "user:5", "user:6"]) == {
        "a": 1,
        "b": 2,
        "c": 1,
        "visits": 1,
        "use": 1,
    }
    assert names["report"] == cache.get("report") == "a report"
    assert names["store"].get("orders") == b"1"
    names["store"].delete("orders")


@pytest.mark.parametrize(
    "options",
    [
        {"COMPRESS": {"algorithm": "zlib", "level": 6, "above": 15}},
        {"USERNAME": "default", "PASSWORD": "", "db": 3},
        {"CODEC": "msgpack", "COMPRESS": "zstd"},
    ],
)
def test_options_that_the_table_names(redis_server, options):
    """They are options."""
    params = {"BACKEND": OURS, "LOCATION": redis_server.url, "OPTIONS": options}
    kept({"default": params})


def test_a_pool_bounds_the_connections(redis_server):
    """As the table says."""
    import redis

    pool = redis.BlockingConnectionPool.from_url(redis_server.url, max_connections=1)
    options = {"CONNECTION_POOL": pool}
    params = {"BACKEND": OURS, "LOCATION": redis_server.url, "OPTIONS": options}
    kept({"default": params})
    assert len(pool._connections) == 1


def test_each_way_is_told_of():
    """The page leads to the pages about all others."""
    for page, title in re.findall(r"<(\w+\.rst)#([\w-]+)>", PAGE):
        heads = re.findall(r"^(.+)\n-+$", (DOCS / page).read_text(), re.MULTILINE)
        assert title in {re.sub(r"\W+", "-", head.lower()) for head in heads}
