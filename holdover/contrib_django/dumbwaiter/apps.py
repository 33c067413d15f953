"""The application for INSTALLED_APPS: ``"holdover.contrib_django.dumbwaiter"``."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured


class DumbwaiterConfig(AppConfig):
    """django-dumbwaiter's settings and command; it needs Holdover's app, too."""

    name = "holdover.contrib_django.dumbwaiter"
    label = "holdover_dumbwaiter"
    verbose_name = "Dumbwaiter"

    def ready(self) -> None:
        """Declare DUMBWAITER_FUNCTION_LIST.

        Raises:
            ImproperlyConfigured: A setting is wrong, or an app is missing.
        """
        # They need apps that are ready.
        from holdover.contrib_django.dumbwaiter.waiting import declare  # noqa: PLC0415
        from holdover.contrib_django.project.configuring import configure  # noqa: PLC0415

        if not apps.is_installed("holdover.contrib_django"):
            raise ImproperlyConfigured(
                f"{self.name} keeps what it runs in the tables of "
                "'holdover.contrib_django': add that to INSTALLED_APPS, too"
            )
        configure()  # this app may stand before that one
        declare()
