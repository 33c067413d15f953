"""The site: a plain WSGI application with one page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode

from holdover.demo.answers import Answer, Lookup
from holdover.demo.queries import QUERIES
from holdover.demo.ranking import Hit

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

AGE_HEADER = "X-Value-Age"
_LONGEST_QUERY = 100
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto;
       padding: 0 1rem; color: #1c2733 }
input { font: inherit; padding: .4rem .6rem; width: 24rem; max-width: 70% }
button { font: inherit; padding: .4rem .9rem }
li { margin: .8rem 0 } code { color: #5b6875; overflow-wrap: anywhere }
footer { margin-top: 2rem; color: #5b6875 }
"""


class Pages:
    """Shows a search form, and below it what a query finds.

    The header `AGE_HEADER` of an answer says how many seconds ago its search was done;
    0 means that the visitor waited for it.

    Args:
        lookup: Gives the answer to a query.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def __call__(
        self, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request, as PEP 3333 says."""
        if environ.get("PATH_INFO") != "/":
            return _respond(start_response, "404 Not Found", _page("", _nothing()), [])
        given = parse_qs(environ.get("QUERY_STRING", "")).get("q", [""])
        query = " ".join(given[0].split())[:_LONGEST_QUERY]
        if not query:
            return _respond(start_response, "200 OK", _page("", _suggestions()), [])
        asked_at = time.time()
        answer = self._lookup(query)
        age = max(0.0, asked_at - answer.made_at)
        page = _page(query, _found(answer, age))
        return _respond(start_response, "200 OK", page, [(AGE_HEADER, f"{age:.6f}")])


def _respond(
    start_response: StartResponse,
    status: str,
    page: str,
    headers: list[tuple[str, str]],
) -> list[bytes]:
    body = page.encode()
    always = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response(status, always + headers)
    return [body]


def _page(query: str, content: str) -> str:
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{escape(query or 'Search')} - the Python standard library</title>"
        f"<style>{_STYLE}</style><h1>Search the standard library</h1>"
        f'<form><input name=q aria-label="What to search for" maxlength='
        f'{_LONGEST_QUERY} value="{escape(query)}"> <button>Search</button></form>'
        f"{content}"
    )


def _nothing() -> str:
    return '<p>There is nothing here. <a href="/">Search</a> instead.</p>'


def _suggestions() -> str:
    items = "".join(
        f'<li><a href="/?{urlencode({"q": query})}">{escape(query)}</a>'
        for query in QUERIES[:10]
    )
    return f"<p>Often asked:</p><ul>{items}</ul>"


def _found(answer: Answer, age: float) -> str:
    hits = "".join(_item(hit) for hit in answer.hits) or "<p>Nothing was found.</p>"
    when = "for you, just now" if age == 0 else f"{age:.1f} s ago"
    return (
        f"<ol>{hits}</ol><footer>Searched {when}, in {answer.files} files, "
        f"in {answer.cost * 1000:.0f} ms.</footer>"
    )


def _item(hit: Hit) -> str:
    return (
        f"<li><b>{escape(hit.path)}</b>, line {hit.line}<br>"
        f"<code>{escape(hit.snippet)}</code>"
    )
