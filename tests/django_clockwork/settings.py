"""The project's settings, with a database and regions in a test's own folder."""

import os

from django_project.settings import *  # noqa: F403 - as Django's projects do
from django_project.settings import INSTALLED_APPS as COMMON_APPS

FOLDER = os.environ["CLOCKWORK_FOLDER"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{FOLDER}/project.db",
        "OPTIONS": {"timeout": 20},
    },
}
if "CLOCKWORK_POSTGRES" in os.environ:
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "holdover",
        "HOST": "127.0.0.1",
        "PORT": os.environ["CLOCKWORK_POSTGRES"],
    }
DUMBWAITER_FUNCTION_LIST = [
    {"function": "time.time", "name": "time", "frequency": 3600},
]
HOLDOVER = {
    "regions": {
        "jobs": {
            "backend": "holdover.file",
            "arguments": {"path": f"{FOLDER}/cache", "lock_timeout": 10.0},
            "lease.ttl": 2.0,
        },
    },
}
INSTALLED_APPS = [
    *COMMON_APPS,
    "holdover.contrib_django.dumbwaiter",
    "django_clockwork",
]
