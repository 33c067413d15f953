"""What of the site is kept right now: for the front page."""

import time
from dataclasses import dataclass
from urllib.parse import urlencode

from django.core.cache import cache, caches
from django.core.cache.utils import make_template_fragment_key
from django.http import HttpRequest
from django.urls import reverse

from holdover import Freshness, Inspection
from holdover.contrib_django import inspect_fragment, inspect_page
from library.cron import Sizes
from library.jobs import Words
from library.models import Article

QUERY = "json decode error"


@dataclass(frozen=True)
class Row:
    """One thing that is kept; *age* is in seconds."""

    name: str
    by: str
    state: str
    age: float | None
    url: str = ""


def rows(request: HttpRequest, article: Article) -> list[Row]:
    search = f"{reverse('search')}?{urlencode({'q': QUERY})}"
    numbers = cache.make_key(make_template_fragment_key("numbers"))
    words = cache.make_key(Words().key())
    return [
        _page(request, f"Article {article.path}", article.get_absolute_url()),
        _page(request, f"Search “{QUERY}”", search),
        _row("Last edited", "{% cached %}", inspect_fragment("edited")),
        _row("In numbers", "{% cache %}", cache.region.inspect(numbers)),
        _row("Commonest words", "Job", cache.region.inspect(words)),
        _periodic(),
        _session(request),
    ]


def _page(request: HttpRequest, name: str, url: str) -> Row:
    told = inspect_page(request.build_absolute_uri(url))
    return _row(name, "cache_page", told, url)


def _row(name: str, by: str, told: Inspection, url: str = "") -> Row:
    state = told.freshness.value
    if told.freshness is Freshness.STALE and told.lease is not None:
        state = "stale, being made"
    return Row(name, by, state, told.age, url)


def _periodic() -> Row:
    runs = Sizes.runs()
    if not runs:
        return Row("Sizes", "PeriodicJob", "gone", None)
    age = time.time() - runs[0].begun_at - runs[0].duration
    state = "failed" if runs[0].has_failed else "fresh"
    return Row("Sizes", "PeriodicJob", state, max(0.0, age))


def _session(request: HttpRequest) -> Row:
    name, session = "Your session", request.session
    if session.session_key is None:  # it is stored after this response
        return Row(name, "sessions", "gone", None)
    kept = caches["sessions"]
    key = kept.make_key(f"{session.cache_key_prefix}{session.session_key}")
    return _row(name, "sessions", kept.region.inspect(key))
