"""Runs of schedules in the project's database, and in its admin."""

import datetime as dt
from dataclasses import replace

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.core.management import call_command
from django.db import DatabaseError, connection, router, transaction
from django.test import override_settings

from holdover import NO_VALUE, Run, Scheduler, errors, events, make_region
from holdover.contrib_django.models import ScheduleRun
from holdover.contrib_django.project.runs import DatabaseRuns

pytestmark = pytest.mark.django_db

RUN = Run(
    region="jobs", name="rates", slot_at=1700000000.0, begun_at=1700000000.125,
    duration=0.25, value=5,
)  # fmt: skip


@pytest.fixture
def store():
    """A store in the database."""
    return DatabaseRuns()


@pytest.fixture
def region(store):
    """A region that keeps its runs there."""
    return make_region("jobs").configure(
        "holdover.memory", 60, history_backend=store, backoff=0
    )


def ran(region, function, **options):
    """Run a function once, as a schedule."""
    region.schedule(function, every=60, name="rates", **options)
    return Scheduler(region, threads=0).run_once()


def test_a_run(region):
    """What is kept is what the region tells, and people can read it."""
    [run] = ran(region, lambda: {"EUR": 1.5})
    [told] = region.history("rates")
    assert {"EUR": 1.5} == told.value == region.value_of("rates")
    assert told.begun_at == pytest.approx(run.begun_at, abs=1e-6)
    assert told.duration == pytest.approx(run.duration, abs=1e-6)
    row = ScheduleRun.objects.get()
    assert ("jobs", "rates", "ok") == (row.region, row.name, row.outcome)
    assert "{'EUR': 1.5}" == row.value
    assert row.started_at.timestamp() == pytest.approx(run.begun_at, abs=1e-6)
    assert row.due_at.timestamp() == run.slot_at


def test_a_failed_run(region):
    """Its error and traceback are kept."""

    def fail():
        raise ValueError("no such \0 thing")

    ran(region, fail)
    row = ScheduleRun.objects.get()
    assert ("failed", "", None) == (row.outcome, row.value, row.payload)
    assert "ValueError: no such \\x00 thing" == row.error
    assert "in fail" in row.details
    assert region.value_of("rates") is NO_VALUE
    assert region.history("rates")[0].has_failed


@pytest.mark.parametrize("use_tz", [True, False])
def test_instants_survive(store, use_tz):
    """With and without time zones, and in one that is not UTC."""
    with override_settings(USE_TZ=use_tz, TIME_ZONE="Europe/Zurich"):
        store.add(RUN, None, 10)
        [kept] = store.runs("jobs", "rates")
    assert replace(RUN, value=NO_VALUE) == kept.run


def test_what_is_too_much_is_forgotten(store):
    """The last few runs are kept, and the newest good one however old it is."""
    store.add(replace(RUN, region="other"), b"other", 1)
    store.add(RUN, b"old", 2)
    store.add(RUN, b"good", 2)
    for _ in range(4):
        store.add(replace(RUN, value=NO_VALUE, error="failed"), None, 2)
    kept = store.runs("jobs", "rates")
    assert [None, None, b"good"] == [one.payload for one in kept]
    assert b"good" == store.newest("jobs", "rates")
    store.add(RUN, b"new", 2)
    assert [b"new", None] == [one.payload for one in store.runs("jobs", "rates")]
    assert b"other" == store.newest("other", "rates")


class Unprintable:
    """Something that cannot be shown."""

    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("value", ["x" * 10**6, list(range(10**5)), Unprintable()])
def test_values_are_shown_in_short(store, value):
    """Whatever they are, in a bounded text."""
    store.add(replace(RUN, value=value), b"x", 10)
    assert 0 < len(ScheduleRun.objects.get().value) <= 1000


def test_values_are_signed(region):
    """By SECRET_KEY; those of its fallbacks are read on."""
    with override_settings(SECRET_KEY="old"):
        ran(region, lambda: 5)
        assert 5 == region.value_of("rates")

    def value_now():
        other = make_region("jobs")
        other.configure("holdover.memory", history_backend=DatabaseRuns())
        other.schedule(int, every=60, name="rates")
        return other.value_of("rates")

    assert value_now() is NO_VALUE
    with override_settings(SECRET_KEY_FALLBACKS=["old"]):
        assert 5 == value_now()


class TestTrouble:
    @pytest.fixture
    def no_table(self, monkeypatch):
        """Have the table be one that is not there."""
        monkeypatch.setattr(ScheduleRun._meta, "db_table", "not_migrated")
        yield
        for field in ScheduleRun._meta.fields:  # which keep the table's name
            vars(field).pop("cached_col", None)

    def test_no_table(self, region, no_table, heard):
        """It is run; the log says what to do, and the transaction goes on."""
        told, calls = heard(region), []
        [run] = ran(region, lambda: calls.append(1))
        assert calls
        assert not run.has_failed
        [failed] = [one for one in told if isinstance(one, events.BackendFailed)]
        assert "no such table: not_migrated (manage.py migrate" in failed.reason
        assert region.value_of("rates") is NO_VALUE
        with pytest.raises(errors.BackendError):
            region.history("rates")
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")  # the test's own transaction is not broken

    def test_the_doctor_says_so(self, region, no_table):
        """Before any run is lost."""
        region.schedule(int, every=60, name="rates")
        [found] = [one for one in region.diagnose(timeout=5) if one.check == "history"]
        assert "manage.py migrate" in found.found

    def test_the_doctor_leaves_nothing(self, store):
        """His probe is taken back."""
        store.check()
        assert not ScheduleRun.objects.exists()

    def test_a_caller_s_transaction(self, region):
        """A run within one is kept with it."""
        with transaction.atomic():
            ran(region, lambda: 5)
            assert 5 == region.value_of("rates")
            transaction.set_rollback(True)
        assert region.history("rates") == []

    def test_a_database_that_is_away(self, region, monkeypatch, heard):
        """Even to ask for a connection may fail."""
        told = heard(region)

        def away(*_, **__):
            raise DatabaseError("gone away")

        monkeypatch.setattr(router, "db_for_write", away)
        [run] = ran(region, lambda: 5)
        assert 5 == run.value
        assert any("gone away" in getattr(one, "reason", "") for one in told)

    async def _read(self, region):
        return region.value_of("rates")

    def test_from_a_coroutine(self, region):
        """Django's own advice is given, in place of no value."""
        import asyncio

        ran(region, lambda: 5)
        with pytest.raises(SynchronousOnlyOperation):
            asyncio.run(self._read(region))


def test_a_database_of_its_own(region, monkeypatch):
    """The router says where, or the store's own alias."""
    asked = []

    def db_for_write(model, **_):
        asked.append(model)
        return "default"

    monkeypatch.setattr(router, "db_for_write", db_for_write)
    ran(region, lambda: 5)
    assert {ScheduleRun} == set(asked)
    asked.clear()
    DatabaseRuns("default").add(RUN, None, 10)
    assert [] == asked


def test_there_is_no_migration_to_make():
    """The migrations are those of the models."""
    call_command("makemigrations", "holdover", check=True, dry_run=True, verbosity=0)


class TestAdmin:
    @pytest.fixture
    def rows(self, store):
        """Have a run of each kind."""
        store.add(RUN, b"", 10)
        store.add(replace(RUN, value=NO_VALUE, error="no such thing"), None, 10)
        return list(ScheduleRun.objects.all())

    def test_the_list(self, admin_client, rows):
        """It can be filtered and searched."""
        page = "/admin/holdover/schedulerun/"
        shown = admin_client.get(page).content.decode()
        assert "no such thing" in shown
        assert "0.25 s" in shown
        good = admin_client.get(page, {"outcome__exact": "ok"}).content.decode()
        assert "no such thing" not in good
        found = admin_client.get(page, {"q": "no such"}).content.decode()
        assert "1 run" in found

    def test_one(self, admin_client, rows):
        """It is shown, and nothing can be changed, added or deleted."""
        page = f"/admin/holdover/schedulerun/{rows[0].pk}/"
        shown = admin_client.get(f"{page}change/").content.decode()
        assert "no such thing" in shown
        assert "_save" not in shown
        assert 403 == admin_client.post(f"{page}change/", {"name": "x"}).status_code
        assert 403 == admin_client.get(f"{page}delete/").status_code
        assert 403 == admin_client.get("/admin/holdover/schedulerun/add/").status_code

    def test_those_who_may_not(self, client, rows, django_user_model):
        """Who lacks the permission to view sees nothing."""
        user = django_user_model.objects.create_user("ann", is_staff=True)
        client.force_login(user)
        assert 403 == client.get("/admin/holdover/schedulerun/").status_code


def test_texts_are_of_any_time(store):
    """A row can be named, for the admin's log."""
    store.add(RUN, None, 10)
    at = dt.datetime.fromtimestamp(RUN.begun_at, dt.UTC)
    assert f"jobs/rates, {at:%Y-%m-%d %H:%M:%S}" == str(ScheduleRun.objects.get())
