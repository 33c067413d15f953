"""Its settings; conftest configures them, and what tests start names them."""

ALLOWED_HOSTS = ["*"]
CACHES = {
    "default": {
        "BACKEND": "holdover.contrib_django.RegionCache",
        "LOCATION": "memory://django-project",
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEBUG_TOOLBAR_PANELS = ["holdover.contrib_django.panel.RegionPanel"]
INSTALLED_APPS = [
    "debug_toolbar",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "holdover.contrib_django",
    "django_project.jobshop",
    "django_project.catalogue",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
ROOT_URLCONF = "django_project.urls"
SECRET_KEY = "only for tests"
STATIC_URL = "static/"
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
USE_TZ = True
# Regions of tests keep their runs themselves; those that do not say so.
HOLDOVER = {"history": None}
SILENCED_SYSTEM_CHECKS = ["debug_toolbar.W001"]  # tests add its middleware themselves
