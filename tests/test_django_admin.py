"""The page of regions in Django's admin."""

import html
import re

import pytest
from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.cache import caches
from django.core.management import call_command
from django.test import Client
from django.urls import path
from django_project.catalogue.prices import price_of
from waiting import wait_until

from holdover import NO_VALUE, registry
from holdover.contrib_django.caches.known import known_regions
from holdover.contrib_django.live.admin import RegionAdmin
from holdover.contrib_django.live.figures import COLUMNS
from holdover.contrib_django.models import Region

PAGE = "/admin/holdover/region/"
FIGURES = f"{PAGE}figures/"
INVALIDATE = f"{PAGE}invalidate/"
NASTY = "<script>alert(1)</script>"

pytestmark = pytest.mark.django_db


@pytest.fixture
def region():
    """A region of the project's, with two values."""
    region = registry.region("admin test")
    if not region.is_configured:
        region.configure("holdover.memory")
    region.invalidate()
    region.set("red apple", "juicy", tags=["fruit"])
    region.set("blue sky", "high")
    return region


@pytest.fixture
def on_redis():
    """Have a region of the project's be on a Redis server, for a while."""
    region = registry.region("admin redis")

    def configure(server, **settings):
        given = {"url": server.url}
        return region.configure(
            "holdover.redis", None, given, replace_existing_backend=True, **settings
        )

    yield configure
    region.configure("holdover.memory", replace_existing_backend=True)


@pytest.fixture
def redis_region(on_redis, redis_server):
    """A region that others reach, too, and that is signed."""
    return on_redis(redis_server, secret="a secret of 16 bytes")


def user_with(*permissions, **traits):
    """Make a member of the staff who has these permissions, and a client of his."""
    user = User.objects.create_user(
        "ann", password="ann", **{"is_staff": True} | traits
    )
    found = Permission.objects.filter(codename__in=permissions)
    assert len(found) == len(permissions)
    user.user_permissions.set(found)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def viewer():
    """Somebody who may look."""
    return user_with("view_region")


@pytest.fixture
def changer():
    """Somebody who may invalidate, too."""
    return user_with("view_region", "change_region")


def invalidation(**given):
    """Give what the form would send."""
    return {"region": "admin test", "what": "key", "text": "red apple", **given}


class TestPermissions:
    @pytest.mark.parametrize("url", [PAGE, FIGURES])
    def test_strangers_must_log_in(self, client, url, region):
        """The admin's own page."""
        assert client.get(url).headers["Location"].startswith("/admin/login/")
        other = user_with("view_region", is_staff=False)
        assert other.get(url).headers["Location"].startswith("/admin/login/")

    @pytest.mark.parametrize("url", [PAGE, FIGURES])
    def test_staff_need_one_to_look(self, url, region):
        """And are told nothing without."""
        assert user_with().get(url).status_code == 403

    @pytest.mark.parametrize("url", [PAGE, FIGURES])
    @pytest.mark.parametrize("permission", ["view_region", "change_region"])
    def test_either_is_enough_to_look(self, url, permission, region):
        """Who may change may view, as everywhere in the admin."""
        assert user_with(permission).get(url).status_code == 200

    def test_who_may_look_may_not_invalidate(self, viewer, region):
        """There is no form, and nothing happens without one."""
        assert b"holdover-invalidate" not in viewer.get(PAGE).content
        assert viewer.post(INVALIDATE, invalidation()).status_code == 403
        assert region.get("red apple") == "juicy"

    def test_nothing_is_invalidated_by_a_link(self, changer, region):
        """Only by POST, and only from the page itself."""
        assert changer.get(INVALIDATE, invalidation()).status_code == 405
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(User.objects.get())
        assert strict.post(INVALIDATE, invalidation()).status_code == 403
        assert region.get("red apple") == "juicy"

    def test_nobody_adds_or_deletes_regions(self, admin_client, region):
        """There are no such pages, not even for superusers."""
        for path_ in ("add/", "1/change/", "1/delete/"):
            assert admin_client.get(f"{PAGE}{path_}").status_code == 404

    def test_the_index_leads_there(self, viewer, region):
        """As to any model that one may view."""
        assert f'href="{PAGE}"' in viewer.get("/admin/").content.decode()
        User.objects.get().user_permissions.clear()
        assert f'href="{PAGE}"' not in viewer.get("/admin/").content.decode()


class TestFigures:
    def row(self, client, label="admin test"):
        """Give what is told of a region."""
        rows = client.get(FIGURES).json()["regions"]
        return next(row for row in rows if row["label"] == label)

    def test_are_those_of_the_region(self, viewer, region):
        """Hits, misses and creators, as they are now."""
        before = region.figures()
        region.get("red apple")
        region.get("nothing")
        region.get_or_create("new", lambda: 1)
        told = self.row(viewer)["cells"]
        assert told["backend"] == "MemoryBackend"
        assert told["lookups"] == f"{before.lookups + 3:,}"
        assert told["fresh"].startswith(f"{before.hits + 1:,} (")
        assert told["missed"].startswith(f"{before.misses + 2:,} (")
        assert told["created"].startswith(f"{before.created.count + 1:,} ")
        assert told["answers"].endswith(" ms")

    def test_are_on_the_page_without_a_script(self, viewer, region):
        """Which only keeps them up to date."""
        page = viewer.get(PAGE).content.decode()
        _, _, row = page.partition(f'data-region="{region.name}"')
        cells = re.findall(r'data-cell="(\w+)"', row.partition("</tr>")[0])
        assert cells == list(COLUMNS) == list(self.row(viewer)["cells"])

    def test_tell_of_caches_too(self, viewer, region):
        """Each region once, whatever number of caches it is behind."""
        assert self.row(viewer, "CACHES['default']")["cells"]["backend"]
        labels = [one.label for one in known_regions()]
        assert len(labels) == len(set(labels))

    def test_are_those_of_the_fleet(self, viewer, on_redis, redis_server):
        """If its processes write them."""
        region = on_redis(redis_server, unsigned_pickle=True, figures_every=0.05)
        region.get("nothing")
        wait_until(
            lambda: self.row(viewer, "admin redis")["cells"]["counted"] == "1 process"
        )

    def test_of_a_backend_that_is_down(self, viewer, on_redis, own_redis):
        """It is told in time, and without its address."""
        on_redis(own_redis, unsigned_pickle=True)
        own_redis.stop()
        row = self.row(viewer, "admin redis")
        assert row["trouble"]
        assert row["cells"]["answers"] == "no answer"
        assert str(own_redis.port) not in viewer.get(PAGE).content.decode()

    @pytest.mark.usefixtures("default_timeouts")
    def test_of_a_backend_that_hangs(self, viewer, on_redis, own_redis):
        """The page does not hang with it."""
        on_redis(own_redis, unsigned_pickle=True)
        own_redis.freeze()
        try:
            assert self.row(viewer, "admin redis")["cells"]["answers"] == "no answer"
        finally:
            own_redis.thaw()

    def test_of_a_backend_of_dogpile_cache_s(self, viewer):
        """It tells less, and nothing breaks."""
        region = registry.region("admin dogpile")
        region.configure("dogpile.cache.memory", replace_existing_backend=True)
        region.get("nothing")
        assert self.row(viewer, "admin dogpile")["cells"]["answers"] == "cannot tell"

    def test_of_a_region_that_is_not_configured(self, viewer):
        """It exists, and nothing else can be told."""
        registry.region("admin bare")
        assert self.row(viewer, "admin bare")["cells"]["backend"] == "not configured"


class TestLooking:
    def look(self, client, **given):
        """Look at a key; give the page."""
        return client.get(PAGE, {"region": "admin test", **given}).content.decode()

    def test_at_a_key(self, viewer, region):
        """What is known of it, without the value."""
        page = self.look(viewer, text="red apple", with_value="on")
        assert "fruit" in page
        assert "juicy" not in page

    def test_at_a_value(self, changer, region):
        """Only for those who may change it, and only if they ask."""
        assert "juicy" not in self.look(changer, text="red apple")
        assert "juicy" in self.look(changer, text="red apple", with_value="on")

    def test_at_a_call(self, changer, region):
        """As on the command line."""
        price_of(17)
        given = {"region": "catalogue prices", "with_value": "on"}
        page = self.look(changer, text="price_of(17)", **given)
        assert "price 17" in page
        page = self.look(changer, text="cost_of(17)", **given)
        assert "no function is called" in page

    def test_at_a_key_of_a_cache(self, changer):
        """As the application writes it, and Django's prefix is put before it."""
        caches["default"].set("apple", "sweet")
        given = {"region": "CACHES['default']", "text": "apple", "with_value": "on"}
        assert "sweet" in changer.get(PAGE, given).content.decode()

    def test_at_nothing(self, viewer, region):
        """It is said so."""
        assert "Nothing is stored for that." in self.look(viewer, text="green")

    def test_whatever_is_there_stays_text(self, changer, region):
        """A key, a value, a tag, and what is asked."""
        region.set(NASTY, NASTY, tags=[NASTY])
        page = self.look(changer, text=NASTY, with_value="on")
        assert NASTY not in page
        assert page.count(html.escape(NASTY)) >= 3
        assert NASTY not in self.look(changer, text=NASTY, region=NASTY)

    def test_values_that_cannot_be_shown(self, changer, region):
        """Do not break the page."""
        region.set("nasty", type("list", (), {})())
        page = self.look(changer, text="nasty", with_value="on")
        assert "(TypeError in its repr)" in page

    def test_long_values_are_cut(self, changer, region):
        """Nobody reads a megabyte."""
        region.set("long", "x" * 1_000_000)
        assert len(self.look(changer, text="long", with_value="on")) < 100_000

    def test_no_secret_is_shown(self, changer, redis_region):
        """Neither what signs, nor where it is."""
        redis_region.set("key", 1)
        page = self.look(changer, region="admin redis", text="key", with_value="on")
        assert "signed" in page
        assert "a secret of 16 bytes" not in page
        assert "redis://" not in page


class TestInvalidating:
    @pytest.mark.parametrize(
        ("given", "left"),
        [
            ({}, {"blue sky"}),
            ({"what": "tag", "text": "fruit"}, {"blue sky"}),
            ({"what": "prefix", "text": "blue"}, {"red apple"}),
            ({"what": "everything", "text": "", "sure": "on"}, set()),
        ],
    )
    @pytest.mark.parametrize("soft", [{}, {"soft": "on"}])
    def test_does_it_and_logs_it(self, changer, region, given, left, soft):
        """A key, a tag, a prefix, everything; hard or soft."""
        answer = changer.post(INVALIDATE, invalidation(**given, **soft), follow=True)
        assert answer.redirect_chain == [(PAGE, 302)]
        keys = ["red apple", "blue sky"]
        assert {key for key in keys if region.get(key) is not NO_VALUE} == left
        is_old = {region.inspect(key).freshness.value for key in {*keys} - left}
        assert is_old == ({"stale"} if soft else {"gone"})
        entry = LogEntry.objects.get()
        assert entry.object_id == "admin test"
        assert entry.user.username == "ann"
        assert ("Expired" if soft else "Invalidated") in entry.change_message
        assert html.escape(entry.change_message) in answer.content.decode()

    def test_a_key_of_a_cache(self, changer):
        """As the application writes it."""
        caches["default"].set("apple", 1)
        given = invalidation(region="CACHES['default']", text="apple")
        assert changer.post(INVALIDATE, given).status_code == 302
        assert caches["default"].get("apple") is None

    @pytest.mark.parametrize(
        "given",
        [
            {"what": "everything"},
            {"text": ""},
            {"text": "x" * 1001},
            {"what": "nonsense"},
            {"region": "nowhere"},
        ],
    )
    def test_half_an_answer_does_nothing(self, changer, region, given):
        """And is shown again, with what is wrong."""
        answer = changer.post(INVALIDATE, invalidation(**given))
        assert answer.status_code == 200
        assert b"errorlist" in answer.content
        assert region.get("red apple") == "juicy"
        assert not LogEntry.objects.exists()

    def test_a_failure_is_told_and_not_logged(self, changer, on_redis, own_redis):
        """Nothing was done, as far as anybody knows."""
        on_redis(own_redis, unsigned_pickle=True)
        own_redis.stop()
        given = invalidation(region="admin redis")
        page = changer.post(INVALIDATE, given, follow=True).content.decode()
        assert "The backend does not answer." in page
        assert str(own_redis.port) not in page
        assert not LogEntry.objects.exists()

    def test_says_what_it_does_not_reach(self, changer, region, redis_region):
        """The memory of other processes."""
        page = changer.post(INVALIDATE, invalidation(), follow=True).content.decode()
        assert "memory of each process" in page
        given = invalidation(region="admin redis")
        page = changer.post(INVALIDATE, given, follow=True).content.decode()
        assert "memory of each process" not in page

    def test_a_call_with_wrong_arguments(self, changer, region):
        """It is said what they should be."""
        page = changer.post(
            INVALIDATE,
            invalidation(region="catalogue prices", text="price_of(1, 2)"),
            follow=True,
        ).content.decode()
        assert "price_of" in page
        assert "argument" in page


def test_the_migrations_are_whole():
    """Whoever uses the app is not asked to make one of his own."""
    call_command("makemigrations", "holdover", check=True, dry_run=True)


class TestSites:
    def test_another_site_shows_it(self, settings, viewer, region):
        """After one line."""
        site = AdminSite(name="own")
        site.register(Region, RegionAdmin)
        settings.ROOT_URLCONF = (path("own/", site.urls),)
        page = viewer.get("/own/holdover/region/").content.decode()
        assert 'data-url="/own/holdover/region/figures/"' in page
