"""Session cookies: what browsers are told, and what sealed ones keep to themselves."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_tools import SECRET, Browser, attributes_of, in_cookies, pair_of, value_of
from standins import broken

from holdover.errors import BackendError, ConfigurationError, UncacheableValue
from holdover.regions.codecs import JsonCodec
from holdover.testing import FakeClock
from holdover.wsgi import (
    BeakerPickleWarning,
    FlaskSessions,
    InsecureSessionWarning,
    PyramidSessions,
    SessionMiddleware,
    Sessions,
    SessionTooLarge,
    SessionTooLate,
    beaker,
)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
BEFORE_ALL = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))  # in UTC, year 0
HOST = ["Path=/", "HttpOnly", "Secure", "SameSite=Lax"]


def set_cookie_of(**options):
    """Give the Set-Cookie header of a new session."""
    session = Sessions(options).open()
    assert session.save()
    return session.set_cookie


class TestAttributes:
    def test_are_the_strictest_by_default(self):
        """ASVS 5.0, 3.3.1 to 3.3.4: __Host-, HttpOnly, Secure, SameSite, no Domain."""
        made = set_cookie_of()
        assert made.startswith("__Host-session=")
        assert attributes_of(made) == HOST

    @pytest.mark.parametrize(
        ("options", "name", "attributes"),
        [
            (
                {"cookie_path": "/shop"},
                "__Secure-session",
                ["Path=/shop", "HttpOnly", "Secure", "SameSite=Lax"],
            ),
            (
                {"cookie_domain": "example.org", "samesite": "Strict"},
                "__Secure-session",
                ["Domain=example.org", *HOST[:3], "SameSite=Strict"],
            ),
            (
                {"cookie_name": "sid", "samesite": "None"},
                "sid",
                [*HOST[:3], "SameSite=None"],
            ),
            ({"cookie_expires": 60}, "__Host-session", ["Max-Age=60", *HOST]),
            (
                {"cookie_expires": timedelta(hours=1)},
                "__Host-session",
                ["Max-Age=3600", *HOST],
            ),
            ({"cookie_expires": False}, "__Host-session", ["Max-Age=34560000", *HOST]),
            (
                {"cookie_expires": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)},
                "__Host-session",
                ["Expires=Wed, 02 Jan 2030 03:04:05 GMT", *HOST],
            ),
        ],
    )
    def test_are_as_they_were_asked_for(self, options, name, attributes):
        """The name's prefix follows from the attributes."""
        made = set_cookie_of(**options)
        assert made.partition("=")[0] == name
        assert attributes_of(made) == attributes

    def test_of_development_are_loud(self):
        """Plain HTTP is possible, and says so."""
        with pytest.warns(InsecureSessionWarning, match="development only") as warned:
            made = set_cookie_of(secure=False)
        assert attributes_of(made) == ["Path=/", "HttpOnly", "SameSite=Lax"]
        assert made.startswith("session=")
        assert len(warned) == 1

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"cookie_name": "__Host-a", "cookie_path": "/b"}, "'__Host-a'.*drop"),
            ({"cookie_name": "__HOST-a", "cookie_domain": "a.b"}, "'__HOST-a'.*drop"),
            ({"cookie_name": "__Secure-a", "secure": False}, "secure=True"),
            ({"samesite": "None", "secure": False}, "samesite='None'"),
            ({"samesite": "loose"}, "samesite.*'loose'"),
            ({"cookie_name": "a b"}, "cookie_name.*'a b'"),
            ({"cookie_name": ""}, "cookie_name"),
            ({"cookie_name": "a\r\nb"}, "cookie_name"),
            ({"cookie_path": "shop"}, "begin with '/'"),
            ({"cookie_path": "/; Secure"}, "cookie_path"),
            ({"cookie_domain": "a\r\nSet-Cookie: b"}, "cookie_domain"),
            ({"cookie_name": "a" * 1025}, "cookie_name has 1025 characters"),
            ({"cookie_path": "/" + "a" * 1024}, "cookie_path has 1025 characters"),
            ({"cookie_domain": "a" * 1025}, "cookie_domain has 1025 characters"),
            ({"cookie_domain": "shop.example, example"}, "cookie_domain"),
            ({"cookie_domain": " "}, "cookie_domain"),
            ({"cookie_expires": "soon"}, "cookie_expires"),
            ({"cookie_expires": LONG_AGO}, "cookie_expires.*to come"),
            ({"cookie_expires": BEFORE_ALL}, "cookie_expires.*to come"),
        ],
    )
    def test_that_browsers_would_drop_are_refused(self, options, told):
        """The mistake is told when the sessions are made."""
        with pytest.raises(ConfigurationError, match=told):
            Sessions(options)


class TestSetCookie:
    def test_is_sent_once(self):
        """A browser that has the cookie is not sent it again."""
        browser = Browser(Sessions())
        browser.put(a=1)
        session = browser.request()
        session["a"] = 2
        assert session.save()
        assert "Set-Cookie" not in dict(browser.answer(session))

    def test_of_one_that_lasts_is_renewed_with_its_use(self):
        """Otherwise browsers would forget a session that is in use."""
        clock = FakeClock()
        browser = Browser(Sessions({"cookie_expires": 3600, "now": clock.wall}))
        browser.put(a=1)
        session = browser.request()
        assert session["a"] == 1
        assert session.set_cookie is None
        clock.advance(200)
        session = browser.request()
        assert session["a"] == 1
        assert "Max-Age=3600" in dict(browser.answer(session))["Set-Cookie"]

    @pytest.mark.parametrize(
        "header",
        ["{}", "a=b; {}", "{}; a=b", "a=b;{};c", "x__Host-session=no; {}", "a; {}"],
    )
    def test_is_found_among_others(self, header):
        """Other cookies, and what is none, do not get in its way."""
        sessions = Sessions()
        pair = pair_of(Browser(sessions).put(a=1).set_cookie)
        assert dict(sessions.open(header.format(pair))) == {"a": 1}


@pytest.fixture
def browser(clock):
    """A browser whose session is in its cookie."""
    return Browser(in_cookies(clock))


class TestSealed:
    def test_keeps_what_it_is_told(self, browser):
        """The whole session travels in the cookie."""
        browser.put(name="ann", cart=[1])
        assert browser.fields() == {"name": "ann", "cart": [1]}
        session = browser.request()
        session["cart"].append(2)
        assert session.bind("ann")
        browser.answer(session)
        assert browser.fields()["cart"] == [1, 2]
        assert browser.request().user == "ann"

    def test_shows_nothing(self, browser):
        """Neither names nor values can be read in it; two are never alike."""
        one = value_of(browser.put(name="ann").set_cookie)
        two = value_of(Browser(browser.sessions).put(name="ann").set_cookie)
        assert one != two
        assert b"ann" not in urlsafe_b64decode(one + "=" * (-len(one) % 4))

    def test_ends_by_the_time_that_is_inside(self, clock):
        """ASVS 5.0, 9.2.1: neither the browser nor its copy prolongs it."""
        browser = Browser(in_cookies(clock, idle_timeout=10.0, absolute_timeout=25.0))
        browser.put(a=1)
        copy = browser.cookie
        for _ in range(4):
            clock.advance(6)
            assert browser.fields() == {"a": 1}
            assert browser.cookie != copy
        assert dict(browser.sessions.open(copy)) == {}
        clock.advance(6)
        assert browser.fields() == {}

    def test_newest_secret_seals_and_each_opens(self, clock):
        """ASVS 5.0, 11.2.2: the cookie of an old key is exchanged when it is read."""
        browser = Browser(in_cookies(clock))
        browser.put(a=1)
        old = browser.cookie
        browser.sessions = in_cookies(clock, secret=["n" * 32, SECRET])
        assert browser.fields() == {"a": 1}
        assert browser.cookie != old
        browser.sessions = in_cookies(clock, secret="n" * 32)
        assert browser.fields() == {"a": 1}
        assert dict(browser.sessions.open(old)) == {}

    @pytest.mark.parametrize(
        "options",
        [{"secret": "o" * 32}, {"app_id": "other"}, {"cookie_name": "__Host-sessio"}],
    )
    def test_opens_in_no_other_context(self, clock, browser, options):
        """ASVS 5.0, 9.2.2 to 9.2.4: another key, application or cookie is another's."""
        browser.put(a=1)
        sessions = in_cookies(clock, **options)
        name = options.get("cookie_name", "__Host-session")
        value = value_of(browser.cookie)
        assert dict(sessions.open({name: value})) == {}
        assert dict(browser.sessions.open(browser.cookie)) == {"a": 1}

    def test_parts_of_a_context_do_not_run_together(self, clock):
        """CVE-2026-6873: "ab" + "c" is not "a" + "bc"."""
        one = in_cookies(clock, cookie_name="ab", app_id="c")
        two = in_cookies(clock, cookie_name="a", app_id="bc")
        value = value_of(Browser(one).put(a=1).set_cookie)
        assert dict(one.open({"ab": value})) == {"a": 1}
        assert dict(two.open({"a": value})) == {}

    def test_is_proved_before_it_is_read(self, browser, monkeypatch):
        """ASVS 5.0, 9.1.1: what somebody else has written never reaches a parser."""
        browser.put(a=1)
        name, _, value = browser.cookie.partition("=")
        monkeypatch.setattr(JsonCodec, "loads", broken)
        flipped = value[:-9] + ("A" if value[-9] != "A" else "B") + value[-8:]
        assert browser.sessions.open({name: flipped}).is_new
        with pytest.raises(BackendError):
            dict(browser.sessions.open({name: value}))

    def test_is_checked_for_its_size(self, browser):
        """RFC 6265bis: name and value have 4096 bytes; nothing is cut off."""
        session = browser.request()
        session["book"] = "x" * 2800
        assert session.save()
        assert len(pair_of(session.set_cookie)) <= 4097  # with the "="
        session["book"] = "x" * 3000
        with pytest.raises(SessionTooLarge, match="browsers keep 4096"):
            session.save()
        assert browser.sessions.open("__Host-session=" + "A" * 5000).is_new

    def test_is_revoked_by_whoever_knows(self, clock):
        """ASVS 5.0, 7.4.1: what was ended before its time is found by id or user."""
        revoked, asked = set(), []

        def is_revoked(session_id, user, created_at):
            asked.append((session_id, user, created_at))
            return user in revoked

        browser = Browser(in_cookies(clock, is_revoked=is_revoked))
        session = browser.request()
        session.bind("ann")
        browser.answer(session)
        assert browser.request().user == "ann"
        revoked.add("ann")
        assert browser.request().user is None
        assert asked == [(session.id, "ann", clock.wall())] * 2

    def test_refuses_what_is_no_plain_data(self, browser):
        """It is JSON, as the stored ones are: tuples do not turn into lists."""
        session = browser.request()
        session["pair"] = (1, 2)
        with pytest.raises(UncacheableValue, match=r"session\['pair'\] has .* tuple"):
            session.save()

    def test_saving_after_the_headers_is_an_error(self, browser):
        """What cannot reach the browser is not taken for saved."""
        session = browser.request()
        session["a"] = 1
        browser.answer(session)
        with pytest.raises(SessionTooLate, match="headers are out"):
            session.save()

    def test_what_was_not_saved_is_not_sealed_with_a_touch(self, clock):
        """A change within a value, that nobody has saved, does not slip in."""
        browser = Browser(in_cookies(clock))
        browser.put(cart=[1])
        clock.advance(300)
        session = browser.request()
        session["cart"].append(2)
        browser.answer(session)
        assert browser.fields() == {"cart": [1]}

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"secret": None}, "need a secret"),
            ({"secret": []}, "need a secret"),
            ({"secret": "short"}, "at least 32"),
            ({"secret": [SECRET, SECRET]}, "twice"),
            ({"secret": [5]}, "at least 32"),
            ({"absolute_timeout": None}, "absolute_timeout"),
        ],
    )
    def test_mistakes_are_told(self, clock, options, told):
        """A weak secret never gets into use, and is not shown."""
        with pytest.raises(ConfigurationError, match=told) as raised:
            in_cookies(clock, **options)
        assert SECRET not in str(raised.value)
        assert "short" not in str(raised.value)


# -- forged cookies ------------------------------------------------------------

FORGED = in_cookies(FakeClock())
GENUINE = value_of(Browser(FORGED).put(user="ann", roles=["admin"]).set_cookie)
RAW = urlsafe_b64decode(GENUINE + "=" * (-len(GENUINE) % 4))
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ .;\x00é"


def encoded(raw):
    """Write bytes as a cookie's value."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


places = st.integers(0, len(GENUINE) - 1)
spots = st.integers(0, len(RAW) - 1)
mutants = st.one_of(
    st.tuples(places, st.sampled_from(ALPHABET)).map(
        lambda it: GENUINE[: it[0]] + it[1] + GENUINE[it[0] + 1 :]
    ),
    st.tuples(places, st.sampled_from(ALPHABET)).map(
        lambda it: GENUINE[: it[0]] + it[1] + GENUINE[it[0] :]
    ),
    places.map(lambda at: GENUINE[:at]),
    places.map(lambda at: GENUINE[:at] + GENUINE[at + 1 :]),
    st.tuples(places, places).map(lambda it: GENUINE[it[0] :] + GENUINE[: it[1]]),
    st.tuples(spots, st.integers(1, 255)).map(
        lambda it: encoded(
            RAW[: it[0]] + bytes([RAW[it[0]] ^ it[1]]) + RAW[it[0] + 1 :]
        )
    ),
    st.tuples(spots, st.binary(max_size=40)).map(
        lambda it: encoded(RAW[: it[0]] + it[1] + RAW[it[0] :])
    ),
    st.tuples(spots, spots).map(lambda it: encoded(RAW[: it[0]] + RAW[it[1] :])),
    st.binary(max_size=300).map(encoded),
    st.binary(max_size=80).map(lambda tail: encoded(RAW[:17] + tail)),
    st.text(max_size=300),
)


def check_forged(text):
    """No mutant is accepted, and none is an error."""
    if text == GENUINE:
        return
    session = FORGED.open({"__Host-session": text})
    if ";" in text or text != text.strip(" \t"):  # then it is another cookie
        text = text.partition(";")[0].strip(" \t")
        if text == GENUINE:
            return
    assert session.is_new
    assert dict(session) == {}


class TestForgedCookies:
    def test_the_genuine_one_is_accepted(self):
        """Else no mutant would prove anything."""
        assert dict(FORGED.open({"__Host-session": GENUINE}))["user"] == "ann"

    @settings(max_examples=1_000, deadline=None, database=None)
    @given(mutants)
    def test_a_thousand_are_not_accepted(self, text):
        """Whatever was changed: it is a new session, never an error."""
        check_forged(text)

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    @settings(
        max_examples=100_000,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutants)
    def test_a_hundred_thousand_are_not_accepted(self, text):
        """The same at length."""
        check_forged(text)

    def test_no_single_bit_can_be_flipped(self):
        """Every bit is proved, those of the last character too."""
        for spot in range(len(RAW)):
            for bit in range(8):
                raw = bytearray(RAW)
                raw[spot] ^= 1 << bit
                check_forged(encoded(bytes(raw)))
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
            check_forged(GENUINE[:-1] + last)


PLAIN = {"session.secure": False}
PICKLED = {"session.migrate": {"type": "file", "data_dir": "/x", "allow_pickle": True}}


@pytest.mark.parametrize(
    "make",
    [
        Sessions,
        FlaskSessions,
        PyramidSessions,
        partial(SessionMiddleware, print),
        partial(beaker.SessionMiddleware, print),
    ],
)
@pytest.mark.parametrize(
    ("options", "category"),
    [(PLAIN, InsecureSessionWarning), (PICKLED, BeakerPickleWarning)],
)
def test_a_warning_points_at_the_line_that_made_them(make, options, category):
    """However many rooms of ours it has passed; and it comes once."""
    with pytest.warns(category) as warned:
        make(options)
    assert [one.filename for one in warned] == [__file__]
