"""Pages and fragments that are cached by Django's own means."""

import itertools

from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_headers

TIMEOUT = 10
_FRAGMENT = """{% load cache %}\
{% cache timeout "sidebar" user %}{{ make }} {{ user }}{% endcache %}"""


class Kitchen:
    """Counts what is made, and holds makers up.

    Attributes:
        renders: How many pages were made.
        before: Called by each maker before it is done.
    """

    def __init__(self):
        self.numbers = itertools.count(1)
        self.renders = 0
        self.before = lambda: None

    def make(self):
        """Make a page."""
        self.renders += 1
        number = next(self.numbers)
        self.before()
        return number


kitchen = Kitchen()


@cache_page(TIMEOUT)
def page(request):
    """A page of which there is one."""
    return HttpResponse(f"page {kitchen.make()}")


@cache_page(TIMEOUT)
@vary_on_headers("X-Taste")
def varied(request):
    """A page for each taste."""
    return HttpResponse(f"{request.headers.get('X-Taste')} {kitchen.make()}")


@cache_page(TIMEOUT)
def changing(request):
    """A page that is for all, until it is for each taste."""
    response = HttpResponse(f"{request.headers.get('X-Taste')} {kitchen.make()}")
    if kitchen.renders > 1:
        response["Vary"] = "X-Taste"
    return response


@cache_page(TIMEOUT)
def failing(request):
    """A page that can be made once, and a second time only after a failure."""
    kitchen.make()
    return HttpResponse("failed", status=500 if kitchen.renders == 2 else 200)


@cache_page(TIMEOUT)
def late(request):
    """A page that is rendered once the view has returned."""
    template = engines["django"].from_string("late {{ make }}")
    return TemplateResponse(request, template, {"make": kitchen.make})


def fragment(request):
    """A page with a part that is cached for each user."""
    template = engines["django"].from_string(_FRAGMENT)
    context = {
        "timeout": TIMEOUT,
        "make": kitchen.make,
        "user": request.GET.get("user", "nobody"),
    }
    return HttpResponse(template.render(context))


def plain(request):
    """A page that a middleware caches, if any does."""
    return HttpResponse(f"plain {kitchen.make()}")


async def plain_async(request):
    """The same, made by a coroutine."""
    return HttpResponse(f"plain {kitchen.make()}")


urlpatterns = [
    path("page", page),
    path("varied", varied),
    path("changing", changing),
    path("failing", failing),
    path("late", late),
    path("fragment", fragment),
    path("plain", plain),
    path("plain-async", plain_async),
]
