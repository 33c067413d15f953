"""Who is measured: by case and store, the name of each subject and its builder."""

from __future__ import annotations

from peers.subject import Subject

FLOOR = "floor"
OURS = "Holdover"
DOGPILE = "dogpile.cache"
READ_ONCE = "Beaker, which reads once"

IN_MEMORY = {
    FLOOR: "floors:memory",
    "functools.lru_cache": "floors:lru_cache",
    OURS: "of_holdover:memory",
    DOGPILE: "of_dogpile:memory",
    "Beaker": "of_beaker:memory",
    "django-cacheback": "of_cacheback:memory",
    "Django": "of_django:memory",
    "cachelib": "of_cachelib:memory",
    "cachetools, with a lock": "of_cachetools:memory",
    "cashews": "of_cashews:memory",
    "aiocache": "of_aiocache:memory",
}
IN_REDIS = {
    FLOOR: "floors:redis",
    "redis-py": "of_redis_py:redis",
    OURS: "of_holdover:redis",
    DOGPILE: "of_dogpile:redis",
    "Beaker": "of_beaker:redis",
    "django-cacheback": "of_cacheback:redis",
    "django-cacheback, django-redis": "of_cacheback:django_redis",
    "Django": "of_django:redis",
    "django-redis": "of_django:django_redis",
    "cachelib": "of_cachelib:redis",
    "cashews": "of_cashews:redis",
    "aiocache": "of_aiocache:redis",
}
NEAR = {
    f"{OURS}, near_ttl on files": "of_holdover:near_file",
    f"{OURS}, near_ttl on Redis": "of_holdover:near_redis",
}

GROUPS: dict[tuple[str, str], dict[str, str]] = {
    ("hit", "memory"): {**IN_MEMORY, **NEAR},
    ("hit", "file"): {
        FLOOR: "floors:file",
        OURS: "of_holdover:file",
        DOGPILE: "of_dogpile:dbm_file",
        "Beaker": "of_beaker:file",
        "django-cacheback": "of_cacheback:file",
        "Django": "of_django:file",
        "cachelib": "of_cachelib:file",
        "diskcache": "of_diskcache:file",
        "cashews": "of_cashews:file",
    },
    ("hit", "dbm"): {
        FLOOR: "floors:dbm_file",
        OURS: "of_holdover:dbm_file",
        DOGPILE: "of_dogpile:dbm_file",
        "Beaker": "of_beaker:dbm_file",
    },
    ("hit", "sqlite"): {
        FLOOR: "floors:sqlite",
        OURS: "of_holdover:sqlite",
        READ_ONCE: "of_beaker:sqlite",
        "django-cacheback": "of_cacheback:sqlite",
        "Django": "of_django:sqlite",
        "diskcache": "of_diskcache:file",
    },
    ("hit", "memcached"): {
        FLOOR: "floors:memcached",
        "pymemcache": "of_pymemcache:memcached",
        OURS: "of_holdover:memcached",
        DOGPILE: "of_dogpile:memcached",
        "Beaker": "of_beaker:memcached",
        "django-cacheback": "of_cacheback:memcached",
        "Django": "of_django:memcached",
        "cachelib": "of_cachelib:memcached",
        "aiocache": "of_aiocache:memcached",
    },
    ("hit", "redis"): IN_REDIS,
    ("hit", "cluster"): {
        FLOOR: "floors:redis",
        "redis-py": "of_redis_py:cluster",
        OURS: "of_holdover:cluster",
    },
    ("hit", "sentinel"): {
        FLOOR: "floors:redis",
        "redis-py": "of_redis_py:redis",
        OURS: "of_holdover:sentinel",
        DOGPILE: "of_dogpile:sentinel",
    },
    ("hit", "postgres"): {
        FLOOR: "of_psycopg:postgres",
        OURS: "of_holdover:database",
        READ_ONCE: "of_beaker:postgres",
        "django-cacheback": "of_cacheback:postgres",
        "Django": "of_django:postgres",
    },
    ("hit", "mariadb"): {
        FLOOR: "of_pymysql:mariadb",
        OURS: "of_holdover:database",
    },
    ("many", "memory"): {
        FLOOR: "floors:many_memory",
        OURS: "of_holdover:many_memory",
        f"{OURS}, decorated": "of_holdover:listed_memory",
        DOGPILE: "of_dogpile:many_memory",
        f"{DOGPILE}, decorated": "of_dogpile:listed_memory",
        "Django": "of_django:many_memory",
        "cachelib": "of_cachelib:many_memory",
        "cashews": "of_cashews:many_memory",
        "aiocache": "of_aiocache:many_memory",
    },
    ("many", "redis"): {
        FLOOR: "of_redis_py:many_redis",
        OURS: "of_holdover:many_redis",
        f"{OURS}, decorated": "of_holdover:listed_redis",
        DOGPILE: "of_dogpile:many_redis",
        f"{DOGPILE}, decorated": "of_dogpile:listed_redis",
        "Django": "of_django:many_redis",
        "django-redis": "of_django:many_django_redis",
        "cachelib": "of_cachelib:many_redis",
        "cashews": "of_cashews:many_redis",
        "aiocache": "of_aiocache:many_redis",
    },
    ("many", "memcached"): {
        FLOOR: "of_pymemcache:many_memcached",
        OURS: "of_holdover:many_memcached",
        f"{OURS}, decorated": "of_holdover:listed_memcached",
        DOGPILE: "of_dogpile:many_memcached",
        f"{DOGPILE}, decorated": "of_dogpile:listed_memcached",
        "Django": "of_django:many_memcached",
        "cachelib": "of_cachelib:many_memcached",
        "aiocache": "of_aiocache:many_memcached",
    },
    ("threads", "memory"): IN_MEMORY,
    # A bare socket is no use to eight threads.
    ("threads", "redis"): {k: v for k, v in IN_REDIS.items() if k != FLOOR},
    **{
        (case, store): {
            FLOOR: f"floors:{store}",
            OURS: f"of_holdover:{store}",
            DOGPILE: f"of_dogpile:{'dbm_file' if store == 'file' else store}",
        }
        for case, stores in {
            "100 KB": ("memory", "file", "redis", "memcached"),
            "5 MB": ("memory", "file", "redis"),
        }.items()
        for store in stores
    },
    **{
        ("door", store): {
            FLOOR: "doors:bare",
            OURS: f"doors:holdover_{store}",
            f"{OURS}, beaker=True": f"doors:as_beaker_{store}",
            "Beaker": f"doors:beaker_{store}",
        }
        for store in ("memory", "file")
    },
}

TITLES = {
    "memory": "memory",
    "file": "files",
    "dbm": "dbm",
    "sqlite": "SQLite",
    "memcached": "memcached",
    "redis": "Redis",
    "cluster": "Redis Cluster",
    "sentinel": "Redis, sentinels",
    "postgres": "PostgreSQL",
    "mariadb": "MariaDB",
}
# What a reader must know of some hits, by store and name.
NOTES = {
    ("sqlite", READ_ONCE): "asks the database once in a process, and never again",
    ("postgres", READ_ONCE): "asks the database once in a process, and never again",
    ("memcached", "Beaker"): "by python-binary-memcached",
    ("memcached", "cachelib"): "by pylibmc, which is written in C",
    ("file", "diskcache"): "keeps small values in SQLite",
    ("file", DOGPILE): "its file backend is the dbm one",
}


def subjects_of(case: str, store: str) -> list[Subject]:
    """Give all who do one thing on one store."""
    return [
        Subject(case, store, name, builder)
        for name, builder in GROUPS[case, store].items()
    ]
