"""The pages of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from library import views

urlpatterns = [
    path("", views.front, name="front"),
    path("state/", views.state, name="state"),
    path("search/", views.search, name="search"),
    path("edit/<path:path>", views.edit, name="edit"),
    path("article/<path:path>", views.article, name="article"),
    path("admin/", admin.site.urls),
]
if settings.TOOLBAR:
    urlpatterns += [path("__debug__/", include("debug_toolbar.urls"))]
