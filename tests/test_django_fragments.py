"""{% cached %}: a part of a template is rendered once for all who need it."""

import itertools
import threading
import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Template, TemplateSyntaxError, engines
from django.test import RequestFactory
from django.utils import translation
from django.utils.safestring import SafeString
from django_caches import THREADS, in_threads
from django_pages import PageTests

from holdover.contrib_django import invalidate_fragment


@pytest.fixture
def count():
    """Count how often it was called."""
    numbers = itertools.count(1)
    return lambda: next(numbers)


def template(arguments, content="{{ count }}"):
    """Give a template with one fragment."""
    return Template(
        f"{{% load holdover %}}{{% cached {arguments} %}}{content}{{% endcached %}}"
    )


def shown(fragment, **context):
    """Render a template, or one with a fragment that has these arguments."""
    made = fragment if isinstance(fragment, Template) else template(fragment)
    return made.render(Context(context))


class TestFragment(PageTests):
    def test_is_rendered_once(self, site, count, clock):
        """For as long as it is fresh."""
        assert [shown('10 "a"', count=count) for _ in "12"] == ["1", "1"]
        assert shown('10 "b"', count=count) == "2"
        clock.advance(10)
        assert shown('10 "a"', count=count) == "3"

    def test_a_timeout_may_be_none(self, site, count, clock):
        """It is fresh for ever."""
        shown('None "a"', count=count)
        clock.advance(1e6)
        assert shown('None "a"', count=count) == "1"

    @pytest.mark.parametrize("timeout", ["0", "-1", "nothing"])
    def test_a_timeout_may_be_0(self, site, count, timeout):
        """It is not kept."""
        texts = [shown(f'{timeout} "a"', count=count, nothing=0) for _ in "12"]
        assert texts == ["1", "2"]

    @pytest.mark.parametrize("before", ["", "{% csrf_token %}"])
    def test_with_a_csrf_token_is_nobody_elses(self, site, before):
        """Whoever had another's token could post in his name."""
        tag = '{% load holdover %}{% cached 10 "a" %}{% csrf_token %}{% endcached %}'

        def visited():
            request = RequestFactory().get("/")
            content = engines["django"].from_string(before + tag)
            text = content.render({}, request)
            assert request.META["CSRF_COOKIE_NEEDS_UPDATE"]
            return text

        texts = [visited(), visited(), visited()]
        assert len(set(texts)) == 3
        assert all("csrfmiddlewaretoken" in text for text in texts)

    def test_is_kept_beside_a_csrf_token(self, site, count):
        """That is in another part of the page."""
        text = '{% load holdover %}{% cached 10 "a" %}{{ count }}{% endcached %}'
        content = engines["django"].from_string("{% csrf_token %}" + text)
        for _ in "12":
            shown_now = content.render({"count": count}, RequestFactory().get("/"))
            assert shown_now.endswith(">1")

    def test_varies(self, site, count):
        """By a list of values, however they are written."""
        values = [("a:b", "c"), ("a", "b:c"), ("a", None), ("a", "None"), ("a",), ()]

        def texts():
            return [
                shown(
                    "10 'a' " + " ".join(f"v{n}" for n in range(len(one))),
                    count=count,
                    **{f"v{n}": value for n, value in enumerate(one)},
                )
                for one in values
            ]

        assert texts() == ["1", "2", "3", "4", "5", "6"]
        assert texts() == ["1", "2", "3", "4", "5", "6"]

    def test_varies_by_language(self, site, count):
        """Nobody reads what another's language says."""
        with translation.override("de"):
            assert shown('10 "a"', count=count) == "1"
        with translation.override("fr"):
            assert shown('10 "a"', count=count) == "2"
        invalidate_fragment("a")
        with translation.override("de"):
            assert shown('10 "a"', count=count) == "3"

    def test_stays_safe(self, site):
        """What was escaped is not escaped again; nor is anything unescaped."""
        made = template('10 "a"', "<b>{{ text }}</b>")
        texts = [shown(made, text="<i>") for _ in "12"]
        assert texts == ["<b>&lt;i&gt;</b>"] * 2
        assert all(isinstance(one, SafeString) for one in texts)
        around = Template("{% load holdover %}{% filter upper %}{% cached 9 'a' %}x"
                          "{% endcached %}{% endfilter %}")  # fmt: skip
        assert shown(around) == "<B>&LT;I&GT;</B>"

    def test_one_renders_for_all(self, site, count):
        """Who comes meanwhile waits."""

        def slow():
            time.sleep(0.1)
            return count()

        assert in_threads(lambda _: shown('10 "a"', count=slow)) == ["1"] * THREADS

    def test_the_first_renders_a_stale_one(self, site, clock):
        """In his own thread, since it needs his context; others get the old one."""
        may_end, begun, here = threading.Event(), threading.Event(), []

        def slow():
            here.append(threading.current_thread())
            if len(here) > 1:
                begun.set()
                assert may_end.wait(20)
            return len(here)

        texts = []
        assert shown('10 "a" stale=60', count=slow) == "1"
        clock.advance(10)
        first = threading.Thread(
            target=lambda: texts.append(shown('10 "a" stale=60', count=slow))
        )
        first.start()
        assert begun.wait(20)
        assert shown('10 "a" stale=60', count=slow) == "1"
        may_end.set()
        first.join()
        assert texts == ["2"]
        assert here[1] is first

    @pytest.mark.parametrize("option", ["stale", "stale_if_error"])
    def test_an_error_leaves_the_old_one(self, site, clock, option):
        """Without an old one, it comes out."""
        answers = ["fine"]

        def text():
            return answers.pop()

        made = f'10 "a" {option}=60'
        assert shown(made, count=text) == "fine"
        clock.advance(10)
        assert shown(made, count=text) == "fine"
        clock.advance(60)
        with pytest.raises(IndexError):
            shown(made, count=text)

    def test_is_invalidated(self, site, count):
        """By its name and what it varies by, or by tags."""
        arguments = '10 "a" user tags="news sport"'
        assert shown(arguments, count=count, user=7) == "1"
        assert invalidate_fragment("a", 8).existed is False
        assert shown(arguments, count=count, user=7) == "1"
        assert invalidate_fragment("a", 7).existed is True
        assert shown(arguments, count=count, user=7) == "2"
        site.region.invalidate(tags=["sport"])
        assert shown(arguments, count=count, user=7) == "3"
        tagged = '10 "b" tags=names'
        assert shown(tagged, count=count, names=[1, "x"]) == "4"
        site.region.invalidate(tags=["1"])
        assert shown(tagged, count=count, names=[1, "x"]) == "5"

    def test_has_a_cache_of_its_own(self, site, count):
        """template_fragments, if there is one, or the one that is named."""
        site.settings.CACHES = {
            **site.settings.CACHES,
            "template_fragments": {
                **site.settings.CACHES["default"],
                "LOCATION": "memory://test-fragments",
            },
            "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        }
        assert shown('10 "a"', count=count) == "1"
        assert shown('10 "a" using="default"', count=count) == "2"
        invalidate_fragment("a")
        assert shown('10 "a"', count=count) == "3"
        assert shown('10 "a" using="default"', count=count) == "2"
        with pytest.raises(ImproperlyConfigured, match="DummyCache"):
            shown('10 "a" using="dummy"', count=count)

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ("", "timeout and a name"),
            ("10", "timeout and a name"),
            ("x 'a'", "unknown variable|wanted seconds"),
            ("'long' 'a'", "wanted seconds"),
            ("10 'a' stale='x'", "wanted seconds"),
            ("10 'a' stale=-1", "0 or more"),
            ("10 'a' foo=1", "no option 'foo'"),
            ("10 'a' stale=1 b", "last"),
        ],
    )
    def test_mistakes_are_told(self, site, arguments, problem):
        """With what was wanted."""
        with pytest.raises(TemplateSyntaxError, match=problem):
            shown(arguments, b=1)
