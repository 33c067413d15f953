"""Articles in the admin; beside them, Holdover's regions and runs are there."""

from django.contrib import admin

from library.models import Article


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    """Saving one here invalidates as everywhere."""

    list_display = ("path", "summary", "lines", "edited_at")
    search_fields = ("path", "summary")
