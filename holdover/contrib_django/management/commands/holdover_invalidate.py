"""``manage.py holdover_invalidate``."""

from holdover.cli.invalidate import invalidate
from holdover.contrib_django.management.bridge import HoldoverCommand


class Command(HoldoverCommand):
    """``holdover invalidate`` for this project."""

    command = invalidate
