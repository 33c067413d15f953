"""``manage.py holdover_purge``."""

from holdover.cli.purge import purge
from holdover.contrib_django.management.bridge import HoldoverCommand


class Command(HoldoverCommand):
    """``holdover purge`` for this project."""

    command = purge
