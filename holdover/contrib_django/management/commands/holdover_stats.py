"""``manage.py holdover_stats``."""

from holdover.cli.stats import stats
from holdover.contrib_django.management.bridge import HoldoverCommand


class Command(HoldoverCommand):
    """``holdover stats`` for this project."""

    command = stats
