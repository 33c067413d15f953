"""What visitors see."""

import time
from collections.abc import Collection
from dataclasses import asdict
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from holdover.contrib_django import (
    cache_page,
    invalidate_on_commit,
    tag_of,
    tags_of,
)
from holdover.demo.queries import QUERIES
from library import board
from library.jobs import Words
from library.models import Article
from library.searching import found

STALE_FOR = 86_400  # seconds
SHOWN_LINES = 120


class SummaryForm(forms.ModelForm):
    """The field of an article that visitors may change."""

    class Meta:
        model = Article
        fields = ("summary",)
        widgets = {"summary": forms.Textarea(attrs={"rows": 3})}  # noqa: RUF012


def _tags(_request: HttpRequest, response: HttpResponse) -> Collection[str]:
    return response.made_of


# One visitor waits for a search, once. From then on nobody does: past its time the page
# is served on, while a request that nobody sent renders the next.
@require_safe
@cache_page(
    settings.FRESH_FOR, stale_while_revalidate=STALE_FOR, tags=[tag_of(Article)]
)
def search(request: HttpRequest) -> HttpResponse:
    query = " ".join(request.GET.get("q", "").split())[:100]
    begun = time.perf_counter()
    hits = found(query) if query else ()
    took = time.perf_counter() - begun
    return render(
        request, "library/search.html", {"query": query, "hits": hits, "took": took}
    )


# This page goes when its article is saved, whoever saves it; others stay.
@require_safe
@cache_page(settings.FRESH_FOR, stale_while_revalidate=STALE_FOR, tags=_tags)
def article(request: HttpRequest, path: str) -> HttpResponse:
    shown = get_object_or_404(Article, path=path)
    lines = shown.source.split("\n")[:SHOWN_LINES]
    context = {"article": shown, "source": "\n".join(lines), "shown": len(lines)}
    response = render(request, "library/article.html", context)
    response.made_of = tags_of(shown)
    return response


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    shown = _chosen(request)
    return _front(request, shown, SummaryForm(instance=shown))


@require_safe
def state(request: HttpRequest) -> HttpResponse:
    rows = board.rows(request, _chosen(request))
    return JsonResponse({"rows": [asdict(row) for row in rows]})


@require_POST
def edit(request: HttpRequest, path: str) -> HttpResponse:
    shown = get_object_or_404(Article, path=path)
    form = SummaryForm(request.POST, instance=shown)
    if not form.is_valid():
        return _front(request, shown, form, status=422)
    with transaction.atomic():
        shown.edited_at = timezone.now()
        form.save()  # what is tagged with this article goes when this has committed,
        invalidate_on_commit(Words().invalidate)  # and this is stale, and made anew
    messages.success(request, f"Saved {path}. What was made of it is gone.")
    return redirect(f"{reverse('front')}?{urlencode({'article': path})}")


def _chosen(request: HttpRequest) -> Article:
    path = request.GET.get("article", "json/decoder.py")
    return get_object_or_404(Article, path=path)


def _front(
    request: HttpRequest, shown: Article, form: SummaryForm, status: int = 200
) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    context = {
        "article": shown,
        "form": form,
        "queries": QUERIES[:6],
        "words": Words().get(),
        "edited": Article.objects.filter(edited_at__isnull=False).order_by(
            "-edited_at"
        )[:4],
        "any_article": tag_of(Article),
        "count": Article.objects.count,
        # Asked for where it stands in the page, below the fragments.
        "rows": lambda: board.rows(request, shown),
        "visits": request.session["visits"],
    }
    return render(request, "library/front.html", context, status=status)
