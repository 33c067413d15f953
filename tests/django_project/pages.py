"""URLs whose views each test chooses."""

from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from holdover.contrib_django import cache_page

shown = {}


def chosen(request, **_parts):
    """Show what the test wants."""
    return shown["view"](request)


async def chosen_async(request):
    """Show what the test wants, in a task."""
    return await shown["async"](request)


@method_decorator(cache_page(60), name="dispatch")
class Classy(View):
    """A class whose pages are kept."""

    def get(self, request):
        """Show what the test wants."""
        return shown["view"](request)


urlpatterns = [
    path("page/", chosen),
    path("below/<path:rest>", chosen),
    path("other/", chosen),
    path("async/", chosen_async),
    path("class/", Classy.as_view()),
]
