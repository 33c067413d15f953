"""The site for gunicorn and other WSGI servers, its style sheets included."""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
application = StaticFilesHandler(get_wsgi_application())
