"""RFC 9111 section 5: Age, and what the directives of both sides ask for."""

import pytest
from http_requirements import left, requires
from http_site import date

from holdover.wsgi.http.policy import Policy

LATER = 11  # seconds, when what is fresh for ten is stale


def asking(site, control, **fields):
    """Send a request with this ``Cache-Control``."""
    return site.ask(fields={"Cache-Control": control, **fields})


@requires("9111 5.1", "should", "use the first member of an Age that is a list")
@requires("9111 5.1", "should", "ignore an Age that is no number of seconds")
@pytest.mark.parametrize(
    ("age", "told"),
    [
        ("7", "7"),
        ("7, 9", "7"),
        (["7", "9"], "7"),
        ("x", "0"),
        ("-7", "0"),
        ("7.5", "0"),
        ("", "0"),
        ("x, 9", "0"),
    ],
)
def test_age_is_read_tolerantly(site, age, told):
    """What other caches say of theirs."""
    site.caches("max-age=60", {"Age": age}).ask()
    assert site.ask()["Age"] == told


@requires("9111 1.2.2", "must", "take a number that is too large for 2147483648")
def test_no_number_is_too_large(site):
    """Whatever its length; an age is then above every lifetime."""
    site.caches("max-age=" + "9" * 5000).ask()
    assert site.ask().told["ttl"] == 2**31
    fields = {"Age": "9" * 5000, "ETag": '"1"'}
    site.caches("max-age=" + "9" * 5000, fields).ask("/old")
    assert not site.ask("/old").is_hit
    site.caches("max-age=" + "0" * 5000 + "60").ask("/zeros")
    assert site.ask("/zeros").told["ttl"] == 60


@requires("9111 5.2", "must", "hand directives on, whether they mean anything here")
def test_directives_reach_both_sides(site):
    """Those of the request, and those of the response, stored or not."""
    control = 'max-age=60, x-new="1", private="x"'
    assert site.caches(control).ask()["Cache-Control"] == control
    assert site.ask()["Cache-Control"] == control
    asking(site, "no-cache, x-new=2")
    assert site.asked[-1]["HTTP_CACHE_CONTROL"] == "no-cache, x-new=2"


@requires("9111 5.2", "-", "read directives in any case, quoted or not")
@pytest.mark.parametrize(
    "control", ["MAX-AGE=60", 'Max-Age="60"', "x, max-age=60,,", ["x", "max-age=60"]]
)
def test_directives_are_read_as_they_come(site, control):
    """Over all lines."""
    site.caches(control).ask()
    assert site.ask().told["ttl"] == 60


@requires("9111 5.2.1.1", "-", "prefer what is not older than the request's max-age")
@pytest.mark.parametrize(("age", "is_hit"), [(4, True), (5, True), (6, False)])
def test_max_age_of_a_request(site, age, is_hit):
    """To the second."""
    site.caches("max-age=60").ask()
    site.passes(age)
    assert asking(site, "max-age=5").is_hit is is_hit


@requires("9111 5.2.1.1", "-", "serve who says max-age nothing stale without max-stale")
@pytest.mark.parametrize(
    ("control", "is_hit"),
    [
        ("max-age=60", False),
        ("min-fresh=0", False),
        ("max-age=60, max-stale=1", True),
        ("max-age=5, max-stale=10", False),
        ("max-stale=1", True),
        ("x", True),
    ],
)
def test_stale_responses_are_not_for_who_wants_fresh_ones(site, control, is_hit):
    """Others have them at once, while the next is made."""
    site.caches("max-age=10, stale-while-revalidate=60").ask()
    site.passes(LATER)
    assert asking(site, control).is_hit is is_hit


@requires("9111 5.2.1.2", "-", "serve who says max-stale what is stale for so long")
@pytest.mark.parametrize(
    ("control", "is_hit"),
    [
        ("max-stale=0", False),
        ("max-stale=1", True),
        ("max-stale", True),
        ("max-stale=x", False),
        ("max-stale=1, max-stale=2", False),
    ],
)
def test_max_stale_of_a_request(site, control, is_hit):
    """Any age without a number."""
    site.caches("max-age=10", {"ETag": '"1"'}).ask()
    site.passes(LATER)
    answer = asking(site, control)
    assert answer.is_hit is is_hit
    assert is_hit is (answer["Age"] == "11")


@requires("9111 5.2.1.3", "-", "prefer what is fresh for min-fresh yet")
@pytest.mark.parametrize(
    ("control", "is_hit"),
    [("min-fresh=49", True), ("min-fresh=50", False), ("min-fresh=x", False)],
)
def test_min_fresh_of_a_request(site, control, is_hit):
    """Counted from now."""
    site.caches("max-age=60").ask()
    site.passes(LATER)
    assert asking(site, control).is_hit is is_hit


@requires("9111 5.2.1.4", "-", "answer no-cache only after asking")
def test_no_cache_of_a_request(site):
    """What comes is there for all others."""
    site.caches("max-age=60").ask()
    answer = site.caches("max-age=60", body=b"new").ask(
        fields={"Cache-Control": "no-cache"}
    )
    assert (b"new", "request") == (answer.body, answer.told["fwd"])
    assert (True, b"new") == (site.ask().is_hit, site.ask().body)


def test_a_site_need_not_obey_clients(clocked):
    """They cannot make the application work, but keep theirs from being stored."""
    site = clocked(Policy(obey_clients=False))
    site.caches("max-age=60").ask()
    for control in ("no-cache", "max-age=0", "min-fresh=100"):
        assert asking(site, control).is_hit
    site.ask("/other", fields={"Cache-Control": "no-store"})
    assert not site.ask("/other").is_hit


@requires("9111 5.2.1.5", "must not", "store the response to a request with no-store")
@requires("9111 5.2.1.5", "must", "forget it as soon as it is handed on")
def test_no_store_of_a_request(site):
    """What is stored already may answer it."""
    site.caches("max-age=60", body=b"mine")
    assert asking(site, "no-store").body == b"mine"
    site.caches("max-age=60", body=b"all").ask()
    answer = asking(site, "No-Store")
    assert (True, b"all") == (answer.is_hit, answer.body)


left(
    "9111 5.2.1.6",
    "-",
    "not transform content where the request says no-transform",
    result="kept: nothing is ever transformed",
)


@requires(
    "9111 5.2.1.7", "should", "answer only-if-cached by what is stored, or with 504"
)
def test_only_if_cached(site):
    """The application hears nothing of it."""
    site.caches("max-age=10", {"ETag": '"1"'})
    assert asking(site, "only-if-cached").status == 504
    site.ask()
    assert asking(site, "only-if-cached").body == b"page"
    assert asking(site, "only-if-cached, no-cache").status == 504
    site.passes(LATER)
    answer = asking(site, "only-if-cached")
    assert (504, 1) == (answer.status, site.times_asked)
    assert asking(site, "only-if-cached, max-stale").status == 200


@requires(
    "9111 5.2.2.1", "-", "take a response for stale when it is older than max-age"
)
@requires("9111 5.2.2", "must", "obey the directives of responses")
def test_max_age_of_a_response(site):
    """Counted from its making, not from its coming."""
    site.caches("max-age=10", {"Age": "8", "ETag": '"1"'}).ask()
    site.passes(1)
    assert site.ask().is_hit
    site.passes(1)
    assert not site.ask().is_hit


@requires("9111 5.2.2.2", "must", "answer with an error rather than a stale response")
@requires("9111 5.2.2.2", "must not", "ignore must-revalidate")
def test_must_revalidate_without_an_application(site):
    """Its own exception reaches the server, which knows what to answer."""
    control = "max-age=10, must-revalidate, stale-if-error=60"
    site.caches(control, {"ETag": '"1"'}).ask()
    site.passes(LATER)

    def fail(environ):
        raise OSError(environ["PATH_INFO"])

    site.reply = fail
    with pytest.raises(OSError, match="/page"):
        asking(site, "max-stale, stale-if-error=60")
    site.caches("max-age=10, stale-if-error=60", {"ETag": '"1"'}).ask("/other")
    site.passes(LATER)
    site.reply = fail
    assert site.ask("/other").body == b"page"


left(
    "9111 5.2.2.2",
    "should",
    "make that error a 504",
    result="the server's: what the application raises is not caught",
)


@requires(
    "9111 5.2.2.3", "should", "ignore no-store where must-understand is understood"
)
@pytest.mark.parametrize(
    ("control", "status", "stored"),
    [
        ("no-store, must-understand, max-age=60", "200 OK", True),
        ("no-store, must-understand, max-age=60", "299 New", False),
        ("no-store, must-understand=1, max-age=60", "200 OK", False),
    ],
)
def test_must_understand_stands_for_no_store(site, control, status, stored):
    """Where the status is one whose rules are kept."""
    assert site.stores(control, status=status) is stored


@requires("9111 5.2.2.4", "-", "use what names fields in no-cache, but without these")
@requires("9111 5.2.2.7", "must not", "store the fields that private names")
@pytest.mark.parametrize("name", ["no-cache", "private", "PRIVATE"])
@pytest.mark.parametrize("fields", ['"X-A, set-cookie"', '" x-a,Set-Cookie "'])
def test_some_fields_are_for_one_user(site, name, fields):
    """The rest is for all."""
    own = {"X-A": "1", "Set-Cookie": "a=b", "X-B": "2"}
    site.caches(f"max-age=60, {name}={fields}", own)
    assert site.ask()["X-A"] == "1"
    other = site.ask()
    told = other["X-A"], other["Set-Cookie"], other["X-B"]
    assert (True, None, None, "2") == (other.is_hit, *told)


@pytest.mark.parametrize(
    "control",
    ['private="a b"', 'private="x', "private=", 'private="x", private', 'private="@"'],
)
def test_what_names_no_fields_is_about_the_whole(site, control):
    """Nothing is guessed in favour of storing."""
    assert not site.stores(f"max-age=60, {control}")


@requires("9111 5.2.2.5", "must not", "store any part of what says no-store")
@requires("9111 5.2.2.5", "must not", "use it for another request")
@requires("9111 5.2.2.5", "must", "forget it as soon as it is handed on")
def test_no_store_leaves_nothing_behind(site):
    """Nor does a new one hide behind what was stored before."""
    site.caches("max-age=10", {"ETag": '"1"'}, body=b"old").ask()
    site.passes(LATER)
    assert site.caches("no-store", body=b"mine").ask().body == b"mine"
    assert b"mine" not in repr(site.region.backend.__dict__).encode()
    assert site.caches("max-age=10", body=b"new").ask().body == b"new"


left(
    "9111 5.2.2.6",
    "must not",
    "transform what says no-transform",
    result="kept: nothing is ever transformed",
)
left(
    "9111 5.2.2.9",
    "-",
    "be able to store what says public",
    result="kept; see the cases of sections 3 and 3.5",
)


@requires("9111 5.2.3", "must", "ignore directives that it does not know")
def test_unknown_directives_change_nothing(site):
    """Whatever their arguments."""
    assert site.stores('community="UCI", max-age=60, foo=1, bar="no-store"')


@requires("9111 5.4", "-", "take Pragma: no-cache for no-cache, without Cache-Control")
@pytest.mark.parametrize(
    ("fields", "is_hit"),
    [
        ({"Pragma": "no-cache"}, False),
        ({"Pragma": "No-Cache, x"}, False),
        ({"Pragma": "x"}, True),
        ({"Pragma": "no-cache", "Cache-Control": "max-age=60"}, True),
    ],
)
def test_pragma_of_a_request(site, fields, is_hit):
    """In responses it never had a meaning."""
    site.caches("max-age=60", {"Pragma": "no-cache"}).ask()
    assert site.ask(fields=fields).is_hit is is_hit


@requires("9111 5.5", "-", "send no Warning of its own")
def test_warnings_mean_nothing(site):
    """Those of others are stored as any field is."""
    site.caches("max-age=10, stale-while-revalidate=60").ask()
    site.caches("max-age=60", {"Warning": f'110 - "x" "{date()}"'}).ask("/other")
    site.passes(LATER)
    assert site.ask()["Warning"] is None
    assert site.ask("/other")["Warning"] == f'110 - "x" "{date()}"'
