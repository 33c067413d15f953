"""``manage.py holdover_inspect``."""

from holdover.cli.inspect import inspect
from holdover.contrib_django.management.bridge import HoldoverCommand


class Command(HoldoverCommand):
    """``holdover inspect`` for this project."""

    command = inspect
