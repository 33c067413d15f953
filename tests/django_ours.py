"""A pytest plug-in: the settings for Django's own cache tests."""

from django.conf import settings


def pytest_configure():
    """Configure Django before its tests are imported."""
    settings.configure(
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        },
        INSTALLED_APPS=["cache"],
        SECRET_KEY="only for Django's own tests",
        USE_TZ=False,
    )
