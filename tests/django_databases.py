"""Databases besides the project's own, for what SQLite in memory cannot do."""

import contextlib

from django.db import connections


@contextlib.contextmanager
def database(alias, blocker, **settings):
    """Add a database under *alias* for a while, for threads of their own, too."""
    connections.databases[alias] = settings
    connections.configure_settings(connections.databases)
    try:
        with blocker.unblock():
            yield connections[alias]
    finally:
        connections[alias].close()
        del connections[alias], connections.databases[alias]


def of_postgres(server):
    """Give the settings for a server of the tests'."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "NAME": "postgres",
        "PORT": server.port,
        "USER": "holdover",
    }
