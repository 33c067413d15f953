"""``manage.py holdover_warm``."""

from holdover.cli.warm import warm
from holdover.contrib_django.management.bridge import HoldoverCommand


class Command(HoldoverCommand):
    """``holdover warm`` for this project."""

    command = warm
