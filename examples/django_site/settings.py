"""The settings of the site. What Holdover is about stands first.

Environment variables: ``SITE_DATA`` is the folder of all data, ``BROKER_URL`` that of
Celery's broker (without it, threads refresh), ``SITE_FRESH_FOR`` the seconds for which
pages are fresh, ``SITE_DEBUG`` shows errors and the debug toolbar, and ``SITE_HTTPS``
is for a site behind TLS.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from keeping import secret_key

BASE = Path(__file__).parent
DATA = Path(os.environ.get("SITE_DATA", BASE / "data"))
DATA.mkdir(mode=0o700, exist_ok=True)
DEBUG = bool(os.environ.get("SITE_DEBUG"))
FRESH_FOR = float(os.environ.get("SITE_FRESH_FOR", "20"))
HTTPS = bool(os.environ.get("SITE_HTTPS"))
BROKER = os.environ.get("BROKER_URL")
TOOLBAR = DEBUG and find_spec("debug_toolbar") is not None

# -- Holdover ------------------------------------------------------------------

if BROKER:
    from celery_app import RUNNER
else:
    RUNNER = "thread"

HOLDOVER = {
    "regions": {
        # Files, which all processes of the site share; they survive a restart.
        "library": {
            "backend": "holdover.file",
            # A page for each search that anybody thinks of: so there is a bound.
            "arguments": {"path": DATA / "cache", "max_bytes": 50_000_000},
            "runner": RUNNER,
            "figures_every": 1,  # the admin shows what all processes count
        },
    },
}
CACHES = {
    "default": {
        "BACKEND": "holdover.contrib_django.RegionCache",
        "LOCATION": "region://library",
        "KEY_PREFIX": "library",
        "TIMEOUT": 60,
        # Django's own {% cache %} serves stale fragments, too.
        "OPTIONS": {"STALE_WHILE_REVALIDATE": 3600},
    },
    # Never stale: whoever has logged out is out.
    "sessions": {
        "BACKEND": "holdover.contrib_django.RegionCache",
        "LOCATION": DATA / "sessions",
        "KEY_PREFIX": "sessions",
    },
}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_CACHE_ALIAS = "sessions"
HOLDOVER_PAGES = {"CACHE_STATUS": True}  # responses tell what the cache did
DEBUG_TOOLBAR_PANELS = [
    "debug_toolbar.panels.timer.TimerPanel",
    "debug_toolbar.panels.sql.SQLPanel",
    *(["holdover.contrib_django.panel.RegionPanel"] if TOOLBAR else []),
]

# -- Django --------------------------------------------------------------------

SECRET_KEY = secret_key(DATA / "secret_key")
INSTALLED_APPS = [
    "library",
    "holdover.contrib_django",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    *(["debug_toolbar"] if TOOLBAR else []),
]
MIDDLEWARE = [
    *(["debug_toolbar.middleware.DebugToolbarMiddleware"] if TOOLBAR else []),
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "library.db",
        # The scheduler writes its history while visitors read.
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL",
            "transaction_mode": "IMMEDIATE",
        },
    },
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INTERNAL_IPS = ["127.0.0.1"]
DEBUG_TOOLBAR_CONFIG = {"SHOW_COLLAPSED": True}
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"holdover": {"handlers": ["console"], "level": "WARNING"}},
}

if HTTPS:
    CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
