"""The settings of the site; CACHES is what Holdover is about."""

from pathlib import Path

CACHES = {
    "default": {
        "BACKEND": "holdover.contrib_django.RegionCache",
        # Files, which all processes of the site share; they survive a restart.
        "LOCATION": Path(__file__).parent / "cache",
        "TIMEOUT": 60,
    },
}

ROOT_URLCONF = "urls"
SECRET_KEY = "an example has no secrets"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
