"""The application that goes into INSTALLED_APPS: ``"holdover.contrib_django"``."""

from __future__ import annotations

from django.apps import AppConfig


class HoldoverConfig(AppConfig):
    """Holdover's templates, commands, models and checks.

    The CACHES backend works without it.
    """

    name = "holdover.contrib_django"
    label = "holdover"
    verbose_name = "Holdover"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks, configure what HOLDOVER says, find what apps declare.

        Raises:
            ImproperlyConfigured: HOLDOVER, or what an app declares, is wrong.
        """
        # These know models, which may be imported only now.
        from holdover.contrib_django.checks import register_checks  # noqa: PLC0415
        from holdover.contrib_django.orm.settings import declare_settings  # noqa: PLC0415
        from holdover.contrib_django.orm.signals import connect  # noqa: PLC0415
        from holdover.contrib_django.pages.workers import (  # noqa: PLC0415
            register_pages,
        )
        from holdover.contrib_django.periodic.discovery import autodiscover  # noqa: PLC0415
        from holdover.contrib_django.project.configuring import (  # noqa: PLC0415
            Wanted,
            configure,
        )

        register_checks()
        configure()
        declare_settings()
        connect()
        if Wanted.of_project().autodiscover:
            autodiscover()
        # Only now is it known which locations are names of regions.
        register_pages()
