"""``{% load holdover %}``: fragments that are rendered once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.template import (
    Context,
    Library,
    Node,
    NodeList,
    TemplateSyntaxError,
    VariableDoesNotExist,
)
from django.template.base import FilterExpression, Parser, Token, token_kwargs
from django.utils.safestring import SafeString

from holdover import errors
from holdover.contrib_django.caches.known import region_cache
from holdover.contrib_django.pages.fragments import (
    active_language,
    fragment_alias,
    fragment_key,
    fragment_lifetime,
    fragment_window,
    rendered_fragment,
)

register = Library()

_OPTIONS = ("stale", "stale_if_error", "tags", "using")
_END = "endcached"


class CachedNode(Node):
    """A fragment.

    Args:
        nodelist: What is in it.
        timeout: Seconds for which it is fresh.
        name: Its name.
        vary_on: The values that it varies by.
        options: The rest, by name.
    """

    def __init__(
        self,
        nodelist: NodeList,
        timeout: FilterExpression,
        name: str,
        vary_on: list[FilterExpression],
        options: Mapping[str, FilterExpression],
    ) -> None:
        self.nodelist = nodelist
        self._timeout = timeout
        self._name = name
        self._vary_on = vary_on
        self._options = options

    def render(self, context: Context) -> SafeString:
        """Give the fragment."""
        timeout = _number(self._timeout, context, "timeout")
        if timeout is not None and timeout <= 0:
            return self.nodelist.render(context)
        alias = fragment_alias(self._option("using", context))
        cache = region_cache(alias)
        vary_on = [one.resolve(context) for one in self._vary_on]
        return rendered_fragment(
            cache,
            fragment_key(cache, self._name, vary_on, active_language()),
            (self.nodelist, context),
            lifetime=self._lifetime(timeout, alias, context),
            tags=self._tags(context),
        )

    def _lifetime(self, timeout: float | None, alias: str, context: Context) -> Any:
        spans = {
            name: _number(self._options[name], context, name)
            for name in ("stale", "stale_if_error")
            if name in self._options
        }
        spans = {"stale": fragment_window(alias), "stale_if_error": None, **spans}
        try:
            return fragment_lifetime(timeout, **spans)
        except errors.InvalidLifetime as error:
            raise TemplateSyntaxError(f'"cached" tag: {error}') from error

    def _tags(self, context: Context) -> list[str]:
        given = self._option("tags", context)
        if given is None:
            return []
        if isinstance(given, str):
            return given.split()
        return [str(one) for one in given]

    def _option(self, name: str, context: Context) -> Any:
        given = self._options.get(name)
        return None if given is None else _resolved(given, context)


def _resolved(expression: FilterExpression, context: Context) -> Any:
    try:
        return expression.resolve(context)
    except VariableDoesNotExist as error:
        raise TemplateSyntaxError(
            f'"cached" tag got an unknown variable: {expression.var!r}'
        ) from error


def _number(expression: FilterExpression, context: Context, name: str) -> float | None:
    given = _resolved(expression, context)
    if given is None:
        return None
    try:
        return float(given)
    except (TypeError, ValueError) as error:
        raise TemplateSyntaxError(
            f'"cached" tag wanted seconds or None for {name} and got {given!r:.80}'
        ) from error


@register.tag
def cached(parser: Parser, token: Token) -> CachedNode:
    """Keep a part of a template, and render it once for all who need it.

    ::

        {% load holdover %}
        {% cached 300 "sidebar" request.user.pk stale=3600 tags="news" %}
            ...
        {% endcached %}

    It is fresh for so many seconds (None: for ever; 0: never), and there is one for
    each list of the values behind its name, in each language. For *stale* seconds more
    the old one is served while whoever finds it first renders the next (by default as
    STALE_WHILE_REVALIDATE in the cache's OPTIONS says), and for *stale_if_error*
    seconds if that fails. *tags*, a text with spaces or a list, are
    names under which it is invalidated; *using* is the name of a cache.
    """
    bits = token.split_contents()[1:]
    if len(bits) < 2:  # noqa: PLR2004 - timeout and name
        raise TemplateSyntaxError('"cached" tag wants a timeout and a name')
    timeout, name, *rest = bits
    positional = [bit for bit in rest if not _is_option(bit)]
    given = [bit for bit in rest if _is_option(bit)]
    options = token_kwargs(given, parser)
    if given or rest[: len(positional)] != positional:
        raise TemplateSyntaxError('"cached" tag wants its options last')
    nodelist = parser.parse((_END,))
    parser.delete_first_token()
    return CachedNode(
        nodelist,
        parser.compile_filter(timeout),
        name.strip("\"'"),
        [parser.compile_filter(bit) for bit in positional],
        options,
    )


def _is_option(bit: str) -> bool:
    name, separator, _ = bit.partition("=")
    if not separator or not name.isidentifier():
        return False
    if name not in _OPTIONS:
        raise TemplateSyntaxError(
            f'"cached" tag has no option {name!r}; it has {", ".join(_OPTIONS)}'
        )
    return True
