"""The settings for real workers of jobs, by the environment."""

import os

from django_project.settings import *  # noqa: F403
from django_project.settings import INSTALLED_APPS as _APPS
from holdover import registry

PATIENT = "?socket_timeout=5&socket_connect_timeout=5"  # on a busy machine
registry.configure(
    {
        "jobs": {
            "backend": os.environ["JOBS_REDIS"] + PATIENT,
            "secret": "a secret of the tests",
        }
    }
)
CACHES = {
    "default": {
        "BACKEND": "holdover.contrib_django.RegionCache",
        "LOCATION": "region://jobs",
    },
    "plain": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["JOBS_REDIS"],
    },
}
INSTALLED_APPS = [*_APPS, "django_rq"]
CACHEBACK_TASK_QUEUE = os.environ["JOBS_QUEUE"]
RQ_QUEUES = {
    name: {
        "URL": os.environ["JOBS_REDIS"],
        "SERIALIZER": "rq.serializers.JSONSerializer",
    }
    for name in ("default", "slow")
}
