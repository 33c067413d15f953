"""``manage.py holdover_run``."""

from holdover.cli.run import run
from holdover.contrib_django.management.bridge import HoldoverCommand


class Command(HoldoverCommand):
    """``holdover run`` for this project."""

    command = run
