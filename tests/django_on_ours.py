"""Django's own tests for caches, on ours.

Copied beside them for a run: they import from each other.
"""

import json
import os
import tempfile
from typing import ClassVar

import pytest
from django.core.cache import caches
from django.test import TestCase, override_settings

from .tests import BaseCacheTests, caches_setting_for_tests

SERVERS = json.loads(os.environ["HOLDOVER_SERVERS"])
BOUNDED = ("cull", "zero_cull")


class OnOurs(BaseCacheTests):
    """Its common tests, and nothing else."""

    location = None
    options = None

    @pytest.fixture(autouse=True)
    def _settings(self):
        with override_settings(CACHES=self.settings_of_caches()):
            yield

    def settings_of_caches(self):
        """Give its CACHES, with our backend."""
        base = {
            "BACKEND": "holdover.contrib_django.RegionCache",
            "LOCATION": self.location,
            "OPTIONS": self.options or {},
        }
        exclude = set() if self.location.startswith("memory:") else set(BOUNDED)
        found = caches_setting_for_tests(base=base, exclude=exclude)
        for alias in BOUNDED:
            if alias in found:  # a store of its own, since it has another size
                found[alias]["LOCATION"] = f"{self.location}-{alias}"
        return found

    def tearDown(self):
        caches["default"].clear()
        caches["prefix"].clear()


class MemoryTests(OnOurs, TestCase):
    location = "memory://suite"


class FileTests(OnOurs, TestCase):
    location = tempfile.mkdtemp()


class SqliteTests(OnOurs, TestCase):
    location = f"sqlite:///{tempfile.mkdtemp()}/cache.db"


class DjangoDatabaseTests(OnOurs, TestCase):
    location = "django-db://default"


class PostgresqlTests(OnOurs, TestCase):
    location = SERVERS["postgresql"]
    options: ClassVar = {"create_table": True}


class RedisTests(OnOurs, TestCase):
    location = SERVERS["redis"]


class MemcachedTests(OnOurs, TestCase):
    location = SERVERS["memcached"]


class RedisNearTests(OnOurs, TestCase):
    location = SERVERS["redis"].replace("/0", "/1")
    options: ClassVar = {"near_ttl": 60}
