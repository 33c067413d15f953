"""The page of regions in Django's admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from holdover import errors
from holdover.contrib_django.caches.known import known_regions
from holdover.contrib_django.live.figures import COLUMNS, rows_of
from holdover.contrib_django.live.forms import InvalidateForm, LookForm
from holdover.contrib_django.live.invalidating import invalidate
from holdover.contrib_django.live.looking import sightings_of
from holdover.contrib_django.models import Region

_NAMES = "holdover_region_"  # as Django would name them


class RegionAdmin(admin.ModelAdmin):
    """Live figures of all regions, a look at keys, and invalidation.

    It is on ``admin.site``; on a site of your own after
    ``site.register(Region, RegionAdmin)``. What `known_regions` gives is shown to whom
    has ``holdover.view_region``; who has ``holdover.change_region`` may invalidate,
    which the admin's log keeps, and see values.
    """

    def get_urls(self) -> list[Any]:
        """Give the page's, in place of those for objects in a table."""
        views = {
            "": (self.page_view, "changelist"),
            "figures/": (self.figures_view, "figures"),
            "invalidate/": (self.invalidate_view, "invalidate"),
        }
        return [
            path(route, self.admin_site.admin_view(view), name=f"{_NAMES}{name}")
            for route, (view, name) in views.items()
        ]

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Nobody has: the application makes them."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Nobody has."""
        return False

    @method_decorator(require_safe)
    def page_view(self, request: HttpRequest) -> HttpResponse:
        """Show the figures and the forms; and a key, if one is asked for."""
        self._require_view(request)
        look = LookForm(known_regions(), request.GET if "text" in request.GET else None)
        return self._page(request, look=look)

    @method_decorator(require_safe)
    def figures_view(self, request: HttpRequest) -> HttpResponse:
        """Give the figures for the page's script, as JSON."""
        self._require_view(request)
        rows = rows_of(known_regions())
        return JsonResponse({"regions": [row.as_dict() for row in rows]})

    @method_decorator(require_POST)
    def invalidate_view(self, request: HttpRequest) -> HttpResponse:
        """Do what the form says, and log who said it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        form = InvalidateForm(known_regions(), request.POST)
        if not form.is_valid():
            return self._page(request, invalidate=form)
        self._carry_out(request, form)
        return redirect(self._url("changelist"))

    def _page(self, request: HttpRequest, **forms: Any) -> TemplateResponse:
        regions = known_regions()
        look = forms.get("look") or LookForm(regions)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Regions"),
            "opts": self.opts,
            "columns": COLUMNS,
            "rows": rows_of(regions),
            "look": look,
            "looked": self._looked(request, look) if look.is_bound else None,
            "invalidate": forms.get("invalidate")
            or InvalidateForm(
                regions, initial=look.data.dict() if look.is_bound else {}
            ),
            "may_change": self.has_change_permission(request),
            "figures_url": self._url("figures"),
            "invalidate_url": self._url("invalidate"),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "holdover/admin/regions.html", context)

    def _looked(self, request: HttpRequest, form: LookForm) -> dict[str, Any] | None:
        """Look at the key that the form asks for; None if the form is wrong."""
        if not form.is_valid():
            return None
        given = form.cleaned_data
        with_value = given["with_value"] and self.has_change_permission(request)
        try:
            sightings, reason = sightings_of(
                form.chosen, given["text"], with_value=with_value
            )
        except errors.HoldoverError as error:
            sightings, reason = [], _said(error)
        return {"sightings": sightings, "reason": reason}

    def _carry_out(self, request: HttpRequest, form: InvalidateForm) -> None:
        given, known = form.cleaned_data, form.chosen
        try:
            invalidate(known, given["what"], given["text"], soft=given["soft"])
        except errors.HoldoverError as error:
            self.message_user(request, _said(error), messages.ERROR)
            return
        done = form.in_words()
        self.log_change(request, Region(name=known.label), done)
        self.message_user(request, f"{known.label}: {done}", messages.SUCCESS)
        if known.shared_by == "process":
            self.message_user(request, _ONLY_HERE, messages.WARNING)

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _url(self, name: str) -> str:
        site = self.admin_site.name
        return str(reverse(f"admin:{_NAMES}{name}", current_app=site))


_ONLY_HERE = gettext_lazy(
    "This region is in the memory of each process: the others still have their values."
)


def _said(error: errors.HoldoverError) -> str:
    """Say what is wrong; of a backend's own words, which may hold a password, none."""
    if isinstance(error, errors.BackendError):
        return str(
            _("The backend does not answer. Nothing is known to be invalidated.")
        )
    return str(error)
