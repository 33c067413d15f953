"""The site's commands: ``python examples/django_site/manage.py site`` starts it all."""

import os
import sys

from django.core.management import execute_from_command_line

from holdover.demo.lifeline import end_with_parent

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    if os.environ.pop("SITE_LIFELINE", ""):  # a part of the site ends with its whole
        end_with_parent()
    execute_from_command_line(sys.argv)
