"""How many pages one client can have stored, and what an operator sees of it."""

import os
import threading
import tracemalloc
from dataclasses import asdict

import pytest
from http_shop import Site, page, pages_region
from waiting import PATIENCE

from holdover import errors, events
from holdover.testing import FakeClock
from holdover.wsgi import HTTPCachePolicy
from holdover.wsgi.http import clients
from holdover.wsgi.http.clients import Newcomers

FEW = HTTPCachePolicy(most_new_pages=3)
OVER = 'fwd=uri-miss;detail="budget"'
EVE, ADAM = {"REMOTE_ADDR": "192.0.2.66"}, {"REMOTE_ADDR": "192.0.2.7"}


def newcomers(clock=None, **policy):
    """Let a client have ten new pages within a minute, unless told otherwise."""
    given = {"most_new_pages": 10, **policy}
    return Newcomers(HTTPCachePolicy(**given), (clock or FakeClock(0.0)).steady)


def admitted(allowed, count=100, **environ):
    """Ask so often; tell how often that was allowed."""
    return sum(allowed.admit({**EVE, **environ}) for _ in range(count))


class TestAClient:
    def test_has_so_many_and_then_as_many_in_each_span(self):
        """All at once, or one by one as time goes on."""
        clock = FakeClock(0.0)
        allowed = newcomers(clock)
        assert admitted(allowed) == 10
        clock.advance(6.0)
        assert admitted(allowed) == 1
        clock.advance(3600.0)
        assert admitted(allowed) == 10

    @pytest.mark.parametrize("most", [1, 3, 7, 600, 5_000])
    @pytest.mark.parametrize("within", [0.1, 60.0, 86_400.0])
    def test_has_exactly_so_many(self, most, within):
        """Rounding takes none of them away, long after the clock began."""
        allowed = newcomers(
            FakeClock(1e9), most_new_pages=most, new_pages_within=within
        )
        assert admitted(allowed, most + 100) == most

    def test_is_looked_at_for_nothing(self):
        """To ask whether there is one left takes none."""
        allowed = newcomers()
        assert all(allowed.would_admit(EVE) for _ in range(100))
        assert admitted(allowed) == 10
        assert not allowed.would_admit(EVE)

    def test_is_not_another(self):
        """What one has used up is not taken from others."""
        allowed = newcomers()
        admitted(allowed)
        assert admitted(allowed, **ADAM) == 10

    @pytest.mark.parametrize(
        ("one", "same"),
        [
            ("2001:db8::1", "2001:db8::ffff"),  # a host has all of its network
            ("192.0.2.9", "::ffff:192.0.2.9"),
            ("", "unix:"),
        ],
    )
    def test_has_one_budget_under_all_its_addresses(self, one, same):
        """One spells an address in several ways, and has more than one of them."""
        allowed = newcomers()
        admitted(allowed, REMOTE_ADDR=one)
        expected = 10 if same == "unix:" else 0
        assert admitted(allowed, REMOTE_ADDR=same) == expected

    def test_may_have_no_address(self):
        """Or one that is none: it is somebody, too."""
        allowed = newcomers()
        assert sum(allowed.admit({}) for _ in range(20)) == 10
        assert admitted(allowed, REMOTE_ADDR="\udc80 \xff") == 10

    def test_is_whom_the_site_says(self):
        """Behind a proxy, by a field that the proxy sets."""
        allowed = newcomers(client=lambda environ: environ["HTTP_X_REAL_IP"])
        assert admitted(allowed, HTTP_X_REAL_IP="198.51.100.1") == 10
        assert admitted(allowed, HTTP_X_REAL_IP="198.51.100.2") == 10

    def test_needs_no_bound(self):
        """Without one, everybody has any number."""
        assert admitted(newcomers(most_new_pages=None), 10_000) == 10_000


class TestTheTable:
    def test_is_of_one_size(self):
        """However many clients there are, it takes 32 KB."""
        allowed = newcomers()
        tracemalloc.start()
        try:
            for number in range(20_000):
                allowed.admit({"REMOTE_ADDR": f"client {number}"})
            # Threads of other tests go on meanwhile.
            own = tracemalloc.Filter(True, clients.__file__)
            kept = tracemalloc.take_snapshot().filter_traces([own])
        finally:
            tracemalloc.stop()
        assert sum(one.size for one in kept.traces) < 8_000

    def test_bounds_a_crowd(self):
        """Of many addresses at once, too: no more than so many for each seat."""
        allowed = newcomers(most_new_pages=1)
        taken = sum(
            allowed.admit({"REMOTE_ADDR": f"client {number}"})
            for number in range(40_000)
        )
        assert 4000 < taken <= 4096

    def test_holds_for_threads(self):
        """Together they get no more than one by one."""
        allowed = newcomers(most_new_pages=500)
        together, taken = threading.Barrier(8), []

        def ask():
            together.wait(PATIENCE)
            taken.append(admitted(allowed, 200))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(PATIENCE)
        assert sum(taken) == 500

    def test_holds_in_a_fork(self):
        """It goes on from where it was, whatever a thread was doing at that moment."""
        allowed = newcomers()
        admitted(allowed, 4)
        with allowed._lock.held:  # as another thread of the parent
            pid = os.fork()
            if not pid:
                os._exit(admitted(allowed))
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 6
        assert admitted(allowed) == 6


class TestASite:
    @pytest.fixture
    def site(self, pages_url):
        """One that lets each client have three new pages stored."""
        return Site(pages_region(pages_url), policy=FEW)

    def test_keeps_what_others_want(self, site):
        """One who asks for ever new URLs is answered; nothing of it is stored."""
        site.ask("/front", **ADAM)
        replies = [site.ask(f"/?{number}", **EVE) for number in range(10)]
        assert [one.code for one in replies] == [200] * 10
        assert [one.cache for one in replies[3:]] == [OVER] * 7
        assert site.ask("/?9", **EVE).text == "12"  # again, by the application
        assert site.ask("/front", **EVE).cache.startswith("hit")
        assert site.ask("/?1", **EVE).cache.startswith("hit")
        assert site.ask("/new", **ADAM).cache == "fwd=uri-miss;stored"

    def test_has_its_pages_pushed_out_otherwise(self):
        """A small store, with the bound and without: what it is for."""
        left = {}
        for most in (3, None):
            policy = HTTPCachePolicy(most_new_pages=most)
            site = Site("memory://?max_entries=50", policy=policy)
            fronts = [f"/{number}" for number in range(3)]
            for one in fronts:
                site.ask(one, **ADAM)
            for number in range(500):
                site.ask(f"/?{number}", **EVE)
            left[most] = sum(site.ask(f, **ADAM).cache[:3] == "hit" for f in fronts)
        assert left == {3: 3, None: 0}

    def test_counts_variants(self, site):
        """Each takes up room."""
        site.view = page(None, ("Cache-Control", "max-age=60"), ("Vary", "User-Agent"))
        replies = [
            site.ask(fields={"User-Agent": f"agent {number}"}, **EVE)
            for number in range(6)
        ]
        over = [one.cache.endswith('detail="budget"') for one in replies]
        assert over == [False] * 3 + [True] * 3

    def test_counts_what_is_remembered_not_to_be_stored(self, site):
        """That takes up room as well, for a while."""
        site.view = page(None, ("Cache-Control", "private"))
        caches = [site.ask(f"/?{number}", **EVE).cache for number in range(5)]
        assert caches == ['fwd=uri-miss;detail="private"'] * 3 + [OVER] * 2
        assert site.middleware.region.figures().keys_added == 3

    def test_leaves_no_lease_of_what_is_not_stored(self, site, monkeypatch):
        """The store does not hear of it but for the look."""
        for number in range(3):
            site.ask(f"/?{number}", **EVE)
        leases = []
        monkeypatch.setattr(site.middleware.region, "lease", leases.append)
        assert site.ask("/?new", **EVE).cache == OVER
        assert leases == []

    def test_does_not_count_what_is_there(self, site):
        """Neither a page that is made anew nor one that is asked about."""
        site.view = page(None, ("Cache-Control", "max-age=60"), ("ETag", '"1"'))
        for _ in range(10):
            assert site.ask(fields={"Cache-Control": "no-cache"}, **EVE).code == 200
        assert site.ask("/?2", **EVE).cache == "fwd=uri-miss;stored"
        assert site.ask("/?3", **EVE).cache == "fwd=uri-miss;stored"

    def test_lets_nobody_wait_for_what_is_refused_late(self, site, monkeypatch):
        """Two at once may both find one left: who comes second ends his turn."""
        monkeypatch.setattr(Newcomers, "would_admit", lambda *_: True)
        for number in range(3):
            site.ask(f"/?{number}", **EVE)
        assert site.ask("/?new", **EVE).cache == OVER
        assert site.ask("/?new", **ADAM).cache == "fwd=uri-miss;stored"


class TestAnOperator:
    def test_reads_how_many_keys_there_are(self, pages_url):
        """In the region's figures, and so in those of the fleet."""
        site = Site(pages_region(pages_url), policy=FEW)
        for number in range(7):
            site.ask(f"/?{number}", **EVE)
        site.ask("/?0", **EVE)
        figures = site.middleware.region.figures()
        assert (figures.keys_added, figures.keys_refused) == (3, 4)

    def test_counts_keys_without_a_bound(self):
        """Which shows whether one is needed."""
        site = Site()
        for number in range(7):
            site.ask(f"/?{number}", **EVE)
        assert site.middleware.region.figures().keys_added == 7

    def test_hears_who_it_is(self):
        """By an event that names the client; the log has it once a minute."""
        site = Site(policy=HTTPCachePolicy(most_new_pages=1))
        told = []
        site.middleware.region.listen(told.append)
        site.ask("/?1", **EVE)
        site.ask("/?2", **EVE)
        added, refused = (
            one for one in told if isinstance(one, events.KeyAdded | events.KeyRefused)
        )
        assert "shop.example/ " in added.key
        assert refused.reason == "192.0.2.66 asks for too many new pages"
        assert asdict(refused)["region"] == site.middleware.region.name


@pytest.mark.parametrize(
    "wrong",
    [
        {"most_new_pages": 0},
        {"most_new_pages": True},
        {"most_new_pages": "many"},
        {"new_pages_within": 0},
        {"client": "REMOTE_ADDR"},
    ],
)
def test_nonsense(wrong):
    """Is a configuration error that names it."""
    with pytest.raises(errors.ConfigurationError, match=next(iter(wrong))):
        HTTPCachePolicy(**wrong)
