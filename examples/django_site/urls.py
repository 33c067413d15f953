"""The one page of the site."""

import time

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import path


def weather(_request: HttpRequest, city: str = "utrecht") -> HttpResponse:
    # However many visitors come at the same time, in all processes: one observes.
    report = cache.get_or_set(f"weather:{city}", lambda: observe(city), timeout=10)
    return HttpResponse(report, content_type="text/plain")


def observe(city: str) -> str:
    time.sleep(1)  # stands for a slow service
    return f"{city} at {time.strftime('%H:%M:%S')}: light rain\n"


urlpatterns = [path("", weather), path("<slug:city>", weather)]
