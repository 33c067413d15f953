"""A session keeps what it is told, for whom it should, as long as it may."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial

import pytest
from session_tools import Browser, attributes_of, in_cookies, value_of
from waiting import at_once

from holdover import make_region
from holdover.errors import ConfigurationError, InvalidArgument, UncacheableValue
from holdover.wsgi import Sessions, SessionTooLarge, SessionTooLate
from holdover.wsgi.sessions.moving import Move


@pytest.fixture
def sessions(new_region, clock):
    """Sessions in a region on each backend in turn, on the fake clock."""
    return Sessions(
        {
            "store": new_region(None, codec="json"),
            "now": clock.wall,
            "idle_timeout": 100.0,
            "absolute_timeout": 1000.0,
        }
    )


@pytest.fixture
def browser(sessions):
    """A browser with a session of its own."""
    return Browser(sessions)


@pytest.fixture
def memory(clock):
    """Sessions in memory, made with the options of the test."""

    def make(**options):
        region = make_region("sessions", time_source=clock)
        arguments = {"time_source": clock}
        region.configure("holdover.memory", None, arguments, codec="json")
        return Sessions({"store": region, "now": clock.wall, **options})

    return make


def logged_in(browser, user):
    """Have a user log in."""
    session = browser.request()
    assert session.bind(user)
    browser.answer(session)


def leave(session):
    """Log out."""
    session.delete()


def end_all(session):
    """Log out everywhere."""
    session._terms.store.users.end_all(session.user)


def meanwhile(monkeypatch, browser, do):
    """Have something happen once, just before a rotation stores the new record."""
    store = browser.sessions.terms.store
    create = store.create

    def late(*args):
        monkeypatch.setattr(store, "create", create)
        do()
        return create(*args)

    monkeypatch.setattr(store, "create", late)


class TestEveryStore:
    def test_it_keeps_what_it_is_told(self, browser):
        """What one request saves, the next one finds; a nested value too."""
        browser.put(name="ann", cart=[1, {"tea": 2}])
        assert browser.fields() == {"name": "ann", "cart": [1, {"tea": 2}]}

    def test_a_change_within_a_value_is_saved(self, browser):
        """A list that was handed out and changed in place has changed the session."""
        browser.put(cart=[1])
        session = browser.request()
        session["cart"].append(2)
        assert session.dirty()
        assert session.save()
        session["cart"].append(3)
        assert session.save()
        assert browser.fields() == {"cart": [1, 2, 3]}

    def test_what_is_removed_is_gone(self, browser):
        """A field that was deleted is not there any more."""
        browser.put(one=1, two=2)
        session = browser.request()
        del session["one"]
        assert session.save()
        assert browser.fields() == {"two": 2}

    def test_requests_that_write_different_fields_both_survive(self, browser):
        """Each lays its own changes over what the other one has saved."""
        browser.put(start=0)
        one, two = browser.request(), browser.request()
        one["one"], two["two"] = 1, 2
        del two["start"]
        assert one.save()
        assert two.save()
        assert browser.fields() == {"one": 1, "two": 2}

    def test_of_two_that_write_one_field_the_last_wins(self, browser):
        """The value is that of whoever saved last."""
        browser.put(page="start")
        one, two = browser.request(), browser.request()
        one["page"], two["page"] = "one", "two"
        assert two.save()
        assert one.save()
        assert browser.fields() == {"page": "one"}

    def test_threads_that_write_different_fields_all_survive(self, browser):
        """Eight requests at once, again and again: nothing is lost."""
        browser.put(start=0)
        barrier = threading.Barrier(8)

        def work(number):
            barrier.wait(20)
            for turn in range(4):
                session = browser.request()
                session[f"field{number}"] = turn
                assert session.save()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        expected = {f"field{number}": 3 for number in range(8)}
        assert browser.fields() == {"start": 0, **expected}

    def test_a_late_save_does_not_resurrect_it(self, browser):
        """Who has logged out stays so, whatever a slow request saves afterwards."""
        browser.put(user="ann")
        slow = browser.request()
        slow["basket"] = [1]
        leaving = browser.request()
        leaving.delete()
        assert not slow.save()
        assert dict(slow) == {}
        assert browser.fields() == {}

    def test_a_logout_among_saves_wins(self, browser):
        """Whatever the order of a save and a logout at once, the session has ended."""
        for _ in range(5):
            browser.put(user="ann")
            slow, leaving = browser.request(), browser.request()
            slow["basket"] = [1]
            at_once(slow.save, leaving.delete)
            assert browser.fields() == {}

    def test_another_id_leaves_nothing_at_the_old_one(self, browser):
        """After a rotation the old id is nobody's; what was kept has moved."""
        old_id, old = browser.put(name="ann").id, browser.cookie
        session = browser.request()
        assert session.regenerate_id()
        browser.answer(session)
        assert session.id != old_id
        assert dict(browser.sessions.open(old)) == {}
        assert browser.fields() == {"name": "ann"}

    @pytest.mark.parametrize("ending", [leave, end_all], ids=["logout", "end_all"])
    def test_a_rotation_under_way_does_not_resurrect_it(
        self, browser, ending, monkeypatch
    ):
        """It has ended, wherever in the rotation of a slower request that was."""
        logged_in(browser, "ann")
        slow, other = browser.request(), browser.request()
        slow["basket"] = [1]
        meanwhile(monkeypatch, browser, lambda: ending(other))
        assert not slow.regenerate_id()
        assert (dict(slow), slow.user, slow.set_cookie) == ({}, None, None)
        assert browser.sessions.of_user("ann") == []

    def test_what_is_saved_while_it_gets_another_id_moves_along(
        self, browser, monkeypatch
    ):
        """What another request was told to be saved is not lost."""
        logged_in(browser, "ann")
        session, other = browser.request(), browser.request()
        session["one"], other["two"] = 1, 2
        saved = []
        meanwhile(monkeypatch, browser, lambda: saved.append(other.save()))
        assert session.regenerate_id()
        browser.answer(session)
        assert saved == [True]
        assert browser.fields() == {"one": 1, "two": 2}
        assert len(browser.sessions.of_user("ann")) == 1

    def test_of_two_rotations_at_once_one_leads_on(self, browser, monkeypatch):
        """A session never becomes two, of which a logout would end but one."""
        logged_in(browser, "ann")
        slow, other = browser.request(), browser.request()
        slow["basket"] = [1]
        meanwhile(monkeypatch, browser, other.regenerate_id)
        assert not slow.regenerate_id()
        browser.answer(other)
        browser.answer(slow)
        assert browser.request().user == "ann"
        assert len(browser.sessions.of_user("ann")) == 1

    def test_what_had_ended_is_not_spared(self, browser):
        """After a logout, an `end_all` but for that session leaves none."""
        logged_in(browser, "ann")
        mine, leaving = browser.request(), browser.request()
        assert (mine.user, leaving.user) == ("ann", "ann")
        leave(leaving)
        browser.sessions.end_all("ann", except_=mine)
        assert (dict(mine), mine.user, mine.set_cookie) == ({}, None, None)
        assert browser.sessions.of_user("ann") == []

    def test_what_others_have_saved_is_spared_with_it(self, browser):
        """`end_all` keeps of the excepted session what is stored by then."""
        logged_in(browser, "ann")
        mine, other = browser.request(), browser.request()
        mine["one"], other["two"] = 1, 2
        assert other.save()
        browser.sessions.end_all("ann", except_=mine)
        browser.answer(mine)
        assert browser.fields() == {"one": 1, "two": 2}

    def test_it_ends_when_it_is_idle(self, browser, clock):
        """Use prolongs a session, and the lack of it ends it."""
        browser.put(name="ann")
        for _ in range(3):
            clock.advance(60)
            assert browser.fields() == {"name": "ann"}
        clock.advance(101)
        assert browser.fields() == {}

    def test_it_ends_in_any_case(self, browser, clock):
        """No use prolongs a session beyond its absolute timeout."""
        browser.put(name="ann")
        for _ in range(16):
            clock.advance(60)
            assert browser.fields() == {"name": "ann"}
        clock.advance(60)
        assert browser.fields() == {}

    def test_all_of_a_user_end_at_once(self, browser):
        """After `end_all` none of his sessions is left but the excepted one."""
        sessions = browser.sessions
        browsers = [Browser(sessions) for _ in range(3)]
        for one in browsers:
            session = one.request()
            session["of"] = "ann"
            assert session.bind("ann")
            one.answer(session)
        browser.put(of="bob")
        assert len(sessions.of_user("ann")) == 3
        slow = browsers[1].request()
        slow["basket"] = 1
        mine = browsers[0].request()
        sessions.end_all("ann", except_=mine)
        browsers[0].answer(mine)
        slow.save()
        found = [one.fields() for one in browsers]
        assert found == [{"of": "ann"}, {}, {}]
        assert len(sessions.of_user("ann")) == 1
        sessions.end_all("ann")
        assert browsers[0].fields() == {}
        assert sessions.of_user("ann") == []
        assert browser.fields() == {"of": "bob"}


class TestIds:
    def test_have_256_bits(self, memory):
        """ASVS 5.0, 7.2.3: no two are alike, and each has 43 characters of base64."""
        ids = {memory().open().id for _ in range(50)}
        assert len(ids) == 50
        assert {len(one) for one in ids} == {43}

    @pytest.mark.parametrize(
        "planted",
        [
            "A" * 43,
            "chosen",
            "",
            "A" * 44,
            "A" * 42 + "\n",
            "../../etc/passwd",
            "é" * 43,
        ],
    )
    def test_that_are_unknown_are_never_adopted(self, memory, planted):
        """An id that somebody else has chosen names nothing, before and after."""
        sessions = memory()
        session = sessions.open(f"__Host-session={planted}")
        assert session.is_new
        session["user"] = "ann"
        assert session.save()
        assert session.id != planted
        assert value_of(session.set_cookie) == session.id
        assert dict(sessions.open(f"__Host-session={planted}")) == {}

    def test_that_have_ended_are_not_adopted_either(self, memory, clock):
        """What was saved after the end stands under a new id."""
        browser = Browser(memory(idle_timeout=10.0))
        old = browser.put(user="ann").id
        clock.advance(11)
        assert browser.put(user="bob").id != old

    def test_malformed_ones_never_reach_the_backend(self, memory):
        """Only what an id looks like is looked up."""
        sessions = memory()
        backend = sessions.options.store.backend
        asked = []
        backend.read = lambda *args: asked.append(args)
        for bad in ("x", "A" * 42, "A" * 44, "A" * 42 + "."):
            assert sessions.open(f"__Host-session={bad}").is_new
        assert asked == []

    def test_are_not_in_the_store(self, tmp_path):
        """The store has the hash of the id; its copy is no set of cookies."""
        sessions = Sessions({"store": f"file://{tmp_path}/cache"})
        session = Browser(sessions).put(user="ann")
        kept = b"".join(
            bytes(path) + path.read_bytes()
            for path in (tmp_path / "cache").rglob("*")
            if path.is_file()
        )
        assert b"ann" in kept
        assert session.id.encode() not in kept
        digest = hashlib.sha256(session.id.encode()).hexdigest()
        assert sessions.options.region().hold(digest) is not None

    def test_are_in_no_text_of_what_is_known(self, memory):
        """Reports of errors that show variables let nobody in."""
        session = Browser(memory()).put(user="ann")
        assert session.id not in f"{session!r} {session._kept!r}"
        assert session.id not in repr(Move(session.id, 1.0))


class TestRotation:
    def test_binding_a_user_gives_another_id(self, memory):
        """Whoever planted an id before the login has nothing from it."""
        browser = Browser(memory())
        old_id, old = browser.put(basket=[1]).id, browser.cookie
        session = browser.request()
        assert session.bind("ann")
        browser.answer(session)
        assert session.id != old_id
        assert (session.user, dict(session)) == ("ann", {"basket": [1]})
        assert browser.request().user == "ann"
        assert browser.sessions.open(old).user is None

    def test_a_login_begins_the_absolute_timeout_anew(self, memory, clock):
        """A visitor of long standing is not thrown out just after he has logged in."""
        browser = Browser(memory(idle_timeout=None, absolute_timeout=100.0))
        browser.put(basket=1)
        clock.advance(90)
        session = browser.request()
        session.bind("ann")
        browser.answer(session)
        clock.advance(90)
        assert browser.request().user == "ann"

    def test_another_user_finds_nothing_of_the_first_one(self, memory):
        """Where nobody logged out in between, what was kept is dropped."""
        browser = Browser(memory())
        session = browser.request()
        session["letter"] = "to ann"
        session.bind("ann")
        session.bind("bob")
        browser.answer(session)
        assert (browser.request().user, browser.fields()) == ("bob", {})
        assert browser.sessions.of_user("ann") == []

    def test_of_one_that_has_ended_resurrects_nothing(self, memory):
        """A login in a session that was deleted meanwhile has to be done again."""
        browser = Browser(memory())
        browser.put(secret="ann's")
        session, other = browser.request(), browser.request()
        assert session["secret"] == "ann's"
        other.delete()
        assert not session.bind("bob")
        assert (dict(session), session.user) == ({}, None)

    def test_of_a_new_one_stores_nothing(self, memory):
        """There is no old record, so there is nothing to be done."""
        sessions = memory()
        session = sessions.open()
        before = session.id
        assert session.regenerate_id()
        assert session.id != before
        assert session.set_cookie is None

    @pytest.mark.parametrize("user", ["", None, 5])
    def test_a_user_without_a_name_is_refused(self, memory, user):
        """What cannot be found again must not be bound."""
        with pytest.raises(InvalidArgument, match="not empty"):
            memory().open().bind(user)

    def test_many_sessions_of_a_user_are_listed_up_to_a_bound(
        self, memory, monkeypatch
    ):
        """The list is bounded, and `end_all` ends those that it has lost, too."""
        monkeypatch.setattr("holdover.wsgi.sessions.users._MOST", 3)
        sessions = memory()
        browsers = [Browser(sessions) for _ in range(5)]
        for browser in browsers:
            session = browser.request()
            session.bind("ann")
            browser.answer(session)
        assert len(sessions.of_user("ann")) == 3
        sessions.end_all("ann")
        assert [browser.request().user for browser in browsers] == [None] * 5


class TestDeletion:
    def test_forgets_the_cookie_and_the_record(self, memory):
        """The record is gone at once, and the browser is told to forget."""
        browser = Browser(memory())
        browser.put(user="ann")
        old = browser.cookie
        session = browser.request()
        session.delete()
        assert ("Set-Cookie", session.set_cookie) in browser.answer(session)
        assert session.set_cookie.startswith("__Host-session=; Max-Age=0; ")
        assert browser.cookie == ""
        assert dict(browser.sessions.open(old)) == {}

    def test_leaves_a_new_one(self, memory):
        """What is saved afterwards is another session."""
        browser = Browser(memory())
        first = browser.put(user="ann").id
        session = browser.request()
        session.invalidate()
        session["user"] = "bob"
        assert session.save()
        browser.answer(session)
        assert session.id != first
        assert browser.fields() == {"user": "bob"}

    def test_of_one_that_never_was_sets_no_cookie(self, memory):
        """Without a cookie there is nothing to forget."""
        session = memory().open()
        session.delete()
        assert session.set_cookie is None

    def test_is_not_undone_by_a_revert(self, memory):
        """What was deleted is not read again."""
        browser = Browser(memory())
        browser.put(user="ann")
        session = browser.request()
        session.delete()
        session.revert()
        assert dict(session) == {}


@pytest.mark.parametrize(
    ("option", "bound"), [("idle_timeout", 100.0), ("absolute_timeout", 1000.0)]
)
def test_one_of_a_clock_that_was_ahead_ends(option, bound):
    """What was stored on a clock years ahead does not last for years."""
    now = [1e9]
    timeouts = {"idle_timeout": None, "absolute_timeout": None, option: bound}
    browser = Browser(Sessions({"now": lambda: now[0], **timeouts}))
    browser.put(name="ann")
    now[0] -= bound - 1
    assert browser.fields() == {"name": "ann"}
    now[0] -= 1
    assert browser.fields() == {}


class TestAsking:
    def test_an_unused_one_asks_nobody(self, memory):
        """Whoever does not use it pays for no look-up, and no header is changed."""
        browser = Browser(memory())
        browser.put(user="ann")
        browser.sessions.options.store.backend.read = None  # would fail
        session = browser.request()
        assert browser.answer(session, [("Vary", "Accept")]) == [("Vary", "Accept")]
        assert not session.accessed()

    def test_it_is_read_once(self, memory):
        """All that is asked in one request costs one look-up."""
        browser = Browser(memory())
        browser.put(user="ann")
        backend = browser.sessions.options.store.backend
        read, asked = backend.read, []
        backend.read = lambda *args: asked.append(args) or read(*args)
        session = browser.request()
        assert (session["user"], len(session), session.is_new) == ("ann", 1, False)
        assert session.is_available
        browser.answer(session)
        assert len(asked) == 1

    def test_reads_are_no_writes(self, memory, clock):
        """Its use is noted once in a twentieth of the idle timeout."""
        browser = Browser(memory(idle_timeout=1000.0))
        browser.put(user="ann")
        began = browser.request().last_accessed
        clock.advance(49)
        assert browser.fields()
        assert browser.request().last_accessed == began
        clock.advance(2)
        assert browser.fields()
        assert browser.request().last_accessed == began + 51
        assert browser.request().created == began

    def test_revert_gives_up_what_was_not_saved(self, memory):
        """Also what was changed within a value."""
        browser = Browser(memory())
        browser.put(cart=[1])
        session = browser.request()
        session["cart"].append(2)
        session["more"] = 1
        session.revert()
        assert dict(session) == {"cart": [1]}
        assert not session.dirty()

    @pytest.mark.parametrize("auto", [True, False])
    def test_persist_saves_what_has_changed(self, memory, auto):
        """At once, as is done before the headers go out with ``auto``."""
        browser = Browser(memory(auto=auto))
        session = browser.request()
        session["page"] = 1
        session.persist()
        assert not session.dirty()
        browser.answer(session)
        assert browser.fields() == {"page": 1}

    def test_persist_notes_the_use_of_what_has_not(self, memory, clock):
        """A session that was only read is not ended for want of use."""
        browser = Browser(memory(idle_timeout=1000.0))
        browser.put(page=1)
        clock.advance(900)
        session = browser.request()
        assert session["page"] == 1
        session.persist()
        assert browser.request().last_accessed == clock.wall()

    def test_load_reads_what_others_have_saved(self, memory):
        """What was saved meanwhile is there."""
        browser = Browser(memory())
        browser.put(page=1)
        session = browser.request()
        assert session["page"] == 1
        browser.put(page=2)
        session.load()
        assert session["page"] == 2

    def test_another_session_is_found_by_its_id(self, memory):
        """An application that knows an id can look at its session."""
        sessions = memory()
        known = Browser(sessions).put(user="ann").id
        found = sessions.open().get_by_id(known)
        assert found["user"] == "ann"
        found["user"] = "bob"
        assert found.save()
        assert sessions.open().get_by_id(known)["user"] == "bob"
        assert sessions.open().get_by_id("A" * 43) is None

    def test_one_that_is_too_deep_is_refused(self, memory):
        """Also if it has grown in place: an error of ours, and no endless descent."""
        browser = Browser(memory())
        browser.put(tree=[])
        session = browser.request()
        leaf = session["tree"]
        for _ in range(100_000):
            leaf.append([])
            leaf = leaf[0]
        assert session.dirty()
        with pytest.raises(UncacheableValue):
            session.save()
        assert browser.fields() == {"tree": []}

    def test_an_object_that_was_handed_out_stays_the_sessions(self, memory):
        """After a save, changes in place count as before."""
        browser = Browser(memory())
        session = browser.request()
        cart = session["cart"] = []
        assert session.save()
        cart.append(1)
        assert session.dirty()
        assert session.save()
        browser.answer(session)
        assert browser.fields() == {"cart": [1]}

    def test_values_that_differ_in_their_type_differ(self, memory):
        """True is not 1, and 1.0 is neither."""
        browser = Browser(memory())
        browser.put(flags=[1])
        session = browser.request()
        session["flags"][0] = True
        assert session.save()
        assert browser.fields()["flags"][0] is True

    def test_what_was_not_saved_is_not_stored_with_a_touch(self, memory, clock):
        """A change within a value, that nobody has saved, does not slip in."""
        browser = Browser(memory())
        browser.put(cart=[1])
        clock.advance(300)
        session = browser.request()
        session["cart"].append(2)
        browser.answer(session)
        assert browser.fields() == {"cart": [1]}
        assert browser.request().last_accessed == clock.wall()

    def test_it_shows_nothing_of_itself(self, memory):
        """Neither the id nor what is in it gets into logs."""
        session = memory().open()
        assert repr(session) == "<Session, not read>"
        session["password"] = "hidden"
        assert repr(session) == "<Session, new>"
        session.save()
        assert repr(session) == "<Session, stored>"

    def test_cookies_may_be_a_mapping(self, memory):
        """Cookies by name, a header, or an environ: all lead to the session."""
        sessions = memory()
        session = Browser(sessions).put(user="ann")
        header = f"a=b; __Host-session={session.id}; c=d"
        for given in ({"__Host-session": session.id}, header, {"HTTP_COOKIE": header}):
            assert dict(sessions.open(given)) == {"user": "ann"}
        assert dict(sessions.open({"a": "b"})) == {}
        assert dict(sessions.open({"wsgi.version": (1, 0)})) == {}


class TestWhereItsCookieGoes:
    @pytest.mark.parametrize("kept", ["region", "cookie"])
    def test_may_be_said_for_one_response(self, kept, memory, clock):
        """The browser is told of it at once, and again when the session ends."""
        make = memory if kept == "region" else partial(in_cookies, clock)
        sessions = make(cookie_name="sid")
        browser = Browser(sessions)
        browser.put(user="ann")
        session = browser.request()
        assert (session.path, session.domain) == ("/", None)
        session.path, session.domain = "/shop", "example.org"
        assert session["user"] == "ann"
        sent = attributes_of(dict(browser.answer(session))["Set-Cookie"])
        assert sent[:2] == ["Domain=example.org", "Path=/shop"]
        assert (browser.request().path, browser.fields()) == ("/", {"user": "ann"})

        session = browser.request()
        session.domain = "example.org"
        session.delete()
        assert session.set_cookie.startswith("sid=; Max-Age=0; Domain=example.org;")

    def test_what_is_assigned_anew_without_change_costs_nothing(self, memory):
        """A session that is not used stays as it is; its cookie is not sent again."""
        browser = Browser(memory(cookie_name="sid"))
        browser.put(user="ann")
        session = browser.request()
        session.path, session.domain = "/", None
        assert session["user"] == "ann"
        assert session.set_cookie is None
        session = browser.request()
        session.path = "/shop"
        assert not session.accessed()
        assert browser.answer(session) == []

    def test_what_browsers_would_drop_is_refused(self, memory):
        """By its name, a ``__Host-`` cookie has no other path, and no domain."""
        session = memory().open()
        with pytest.raises(ConfigurationError, match="no cookie_domain"):
            session.domain = "example.org"
        with pytest.raises(ConfigurationError, match="cookie_path"):
            session.path = "/shop; Domain=example.com"

    def test_is_said_before_the_headers(self, memory):
        """What cannot reach the browser is not taken for done."""
        session = memory(cookie_name="sid").open()
        session["user"] = "ann"
        session.respond([])
        with pytest.raises(SessionTooLate):
            session.path = "/shop"


class TestMistakes:
    @pytest.mark.parametrize("value", [object(), (1, 2), {1: 2}, {"a": {1, 2}}])
    def test_values_that_would_come_back_otherwise_are_refused(self, memory, value):
        """Only plain data are kept: nothing is ever pickled."""
        session = memory().open()
        session["value"] = value
        with pytest.raises(UncacheableValue, match=r"session\['value'\] has "):
            session.save()

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            (["a", {"b": [Decimal(1)]}], r"something of type decimal\.Decimal in it"),
            ({"a": {1: "b"}}, "a key of type int in it"),
            (b"a", "something of type bytes in it"),
            ([b"a", (1,)], "something of type tuple in it"),
        ],
    )
    @pytest.mark.parametrize("verb", ["save", "bind"])
    def test_what_cannot_be_kept_is_named(self, memory, value, told, verb):
        """Whoever moves finds the field, and what is wrong with it."""
        session = memory().open()
        session.update(name="ann", cart=value)
        with pytest.raises(UncacheableValue, match=rf"session\['cart'\] has {told}"):
            getattr(session, verb)(*(["ann"] if verb == "bind" else []))

    def test_what_contains_itself_is_refused(self, memory):
        """To look for what is wrong with it comes to an end."""
        session = memory().open()
        session["cart"] = cart = []
        cart.append(cart)
        with pytest.raises(UncacheableValue):
            session.save()

    @pytest.mark.parametrize("name", [5, None, b"name"])
    def test_names_are_texts(self, memory, name):
        """Other names are refused where they are used."""
        with pytest.raises(InvalidArgument, match="named by texts"):
            memory().open()[name] = 1

    @pytest.mark.parametrize("codec", ["pickle", None])
    def test_a_region_that_pickles_is_refused(self, codec):
        """ASVS 5.0, 1.5.2: who can write the store must not run code here."""
        region = make_region("sessions").configure("holdover.memory", codec=codec)
        with pytest.raises(ConfigurationError, match="codec='json'"):
            Sessions({"store": region})

    def test_a_region_that_is_configured_later_is_looked_at_then(self):
        """The first use finds the mistake."""
        region = make_region("sessions")
        sessions = Sessions({"store": region})
        region.configure("holdover.memory")
        with pytest.raises(ConfigurationError, match="codec='json'"):
            Browser(sessions).put(user="ann")

    def test_bytes_are_kept_by_msgpack(self):
        """Its codec keeps more than JSON does."""
        browser = Browser(Sessions({"codec": "msgpack"}))
        browser.put(raw=b"\x00\xff")
        assert browser.fields() == {"raw": b"\x00\xff"}

    def test_a_session_that_does_not_fit_is_told(self, tmp_path):
        """The backend's bound is an error of its own kind."""
        url = f"file://{tmp_path}/cache?max_bytes=20000"
        session = Sessions({"store": url}).open()
        session["book"] = "x" * 100_000
        with pytest.raises(SessionTooLarge):
            session.save()

    def test_sessions_in_cookies_are_nowhere_listed(self, clock):
        """`end_all` says what to do instead."""
        with pytest.raises(ConfigurationError, match="is_revoked"):
            in_cookies(clock).end_all("ann")

    def test_only_a_users_own_session_can_be_spared(self, memory):
        """Before anything is ended."""
        sessions = memory()
        browser = Browser(sessions)
        session = browser.request()
        session.bind("ann")
        browser.answer(session)
        session = Browser(sessions).put(user="ann")
        with pytest.raises(InvalidArgument, match="no session of 'ann'"):
            sessions.end_all("ann", except_=session)
        assert browser.request().user == "ann"
