"""``django-db://``: a table in one of Django's databases, on connections of its own."""

import threading

import psycopg
import pytest
from django.core.cache import caches
from django.core.checks import Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django_caches import add_database, django_database, unused_name

from holdover import errors
from holdover.contrib_django import RegionCache

SQLITE = {"ENGINE": "django.db.backends.sqlite3"}
PATIENT = {"operation_timeout": 5.0, "connect_timeout": 5.0}


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database(request, tmp_path, monkeypatch):
    """The alias of each kind of database in turn, without a table of ours."""
    if request.param == "sqlite":
        return add_database(monkeypatch, {**SQLITE, "NAME": tmp_path / "site.db"})
    server = request.getfixturevalue(request.param)
    return add_database(monkeypatch, django_database(server))


@pytest.fixture
def sqlite(tmp_path, monkeypatch):
    """The alias of a database in a file."""
    return add_database(monkeypatch, {**SQLITE, "NAME": tmp_path / "site.db"})


@pytest.fixture
def application(django_db_blocker):
    """Let the test use Django's connections, and close them."""
    with django_db_blocker.unblock():
        yield connections
        for alias in list(connections.settings):
            connections[alias].close()


@pytest.fixture
def named(monkeypatch):
    """Have CACHES know one cache; give its name."""

    def name(location, **options):
        alias = unused_name()
        given = {
            "BACKEND": "holdover.contrib_django.RegionCache",
            "LOCATION": location,
            "OPTIONS": options,
        }
        monkeypatch.setitem(caches.settings, alias, given)
        return alias

    return name


def table_of(alias, **options):
    """Give a cache in a database's table, which it makes."""
    options = {"create_table": True, **PATIENT, **options}
    return RegionCache(f"django-db://{alias}", {"OPTIONS": options})


class TestConnections:
    def test_take_no_part_in_a_request_s_transaction(self, database, application):
        """What was stored meanwhile is there for others, and after a rollback."""
        cache = table_of(database)
        with transaction.atomic(using=database):
            application[database].cursor().execute("SELECT 1")
            cache.set("key", "value")
            seen = []
            other = threading.Thread(target=lambda: seen.append(cache.get("key")))
            other.start()
            other.join(20)
            transaction.set_rollback(True, using=database)
        assert seen == ["value"]
        assert cache.get("key") == "value"

    def test_are_made_with_the_alias_s_options(self, postgres, monkeypatch):
        """Whatever its DATABASES entry tells the driver holds here, too."""
        settings = django_database(postgres)
        settings["OPTIONS"] = {"application_name": "the-site", "pool": True}
        alias = add_database(monkeypatch, settings)
        table_of(alias).set("key", 1)
        names = "SELECT count(*) FROM pg_stat_activity WHERE application_name = "
        assert postgres.run(f"{names} 'the-site'") == [(1,)]

    def test_take_on_the_alias_s_role(self, postgres, monkeypatch):
        """A table belongs to the role that Django was to assume."""
        postgres.run("DROP ROLE IF EXISTS site")
        postgres.run("CREATE ROLE site")
        postgres.run("GRANT ALL ON SCHEMA public TO site")
        settings = django_database(postgres)
        settings["OPTIONS"] = {"assume_role": "site"}
        try:
            table_of(add_database(monkeypatch, settings)).set("key", 1)
            owner = "SELECT tableowner FROM pg_tables WHERE tablename="
            assert postgres.run(f"{owner}'holdover_cache'") == [("site",)]
        finally:
            postgres.run("DROP TABLE holdover_cache")
            postgres.run("REVOKE ALL ON SCHEMA public FROM site")
            postgres.run("DROP ROLE site")

    def test_lead_to_the_database_of_the_test(self, sqlite, tmp_path):
        """Where Django's test runner renames a database, the cache goes along."""
        before = table_of(sqlite)
        before.set("key", "of production")
        connections.settings[sqlite]["NAME"] = tmp_path / "test_site.db"
        during = table_of(sqlite)
        assert during.get("key") is None
        during.set("key", "of a test")
        connections.settings[sqlite]["NAME"] = tmp_path / "site.db"
        assert table_of(sqlite).get("key") == "of production"

    def test_to_a_database_in_memory_are_none(self, monkeypatch):
        """Nobody else sees such a database: the cache is in this process's memory."""
        alias = add_database(monkeypatch, {**SQLITE, "NAME": ":memory:"})
        cache = RegionCache(f"django-db://{alias}", {})
        cache.set("key", 1)
        assert RegionCache(f"django-db://{alias}", {}).get("key") == 1
        assert RegionCache(f"django-db://{alias}/other", {}).get("key") is None

    def test_to_other_databases_are_refused(self, monkeypatch):
        """The error says what is known."""
        dummy = {"ENGINE": "django.db.backends.dummy"}
        alias = add_database(monkeypatch, dummy)
        with pytest.raises(ImproperlyConfigured, match="PostgreSQL, MariaDB"):
            RegionCache(f"django-db://{alias}", {})


class TestOwnTransaction:
    """SQLite has one writer: whoever has written keeps the cache from writing."""

    @pytest.fixture
    def cache(self, sqlite):
        """A cache in the file that the application writes to."""
        cache = table_of(sqlite, operation_timeout=0.05)
        cache.set("key", "old")
        return cache

    @pytest.fixture
    def writing(self, sqlite, application, cache):
        """A transaction that has written."""
        with application[sqlite].cursor() as cursor:
            cursor.execute("CREATE TABLE notes (text)")
        with transaction.atomic(using=sqlite), application[sqlite].cursor() as cursor:
            cursor.execute("INSERT INTO notes VALUES ('x')")
            yield

    def test_is_waited_for_no_longer_than_the_timeout(self, cache, writing):
        """Reads go on; what cannot be written is not, and nothing is raised."""
        assert cache.get("key") == "old"
        assert cache.add("other", 1) is False
        assert cache.set_many({"a": 1}) == ["a"]
        assert cache.get_or_set("made", lambda: "now") == "now"
        assert cache.get("made") is None

    def test_brings_no_old_value_back(self, cache, writing):
        """What was to be replaced is missing from then on."""
        cache.set("key", "new")
        assert cache.get("key") is None


class TestCreateTable:
    @pytest.mark.parametrize("scheme", ["django-db", "postgresql"])
    def test_is_what_a_check_asks_for(self, postgres, monkeypatch, named, scheme):
        """Who wants none made for him, and forgets it, is told the command."""
        database = add_database(monkeypatch, django_database(postgres))
        if scheme == "django-db":
            alias = named(f"django-db://{database}", CREATE_TABLE=False, **PATIENT)
        else:
            alias = named(postgres.url, **PATIENT)
        (told,) = run_checks(databases=[database], tags=[Tags.database])
        assert told.id == "holdover.W018"
        assert f"holdover_createtable {alias}" in told.hint
        assert run_checks(databases=[], tags=[Tags.database]) == []
        call_command("holdover_createtable", alias)
        assert run_checks(databases=[database], tags=[Tags.database]) == []

    def test_is_no_error_of_a_page(self, postgres, monkeypatch, caplog):
        """While there is none, nothing is cached, and the log says why."""
        alias = add_database(monkeypatch, django_database(postgres))
        options = {"CREATE_TABLE": False}
        cache = RegionCache(f"django-db://{alias}", {"OPTIONS": options})
        assert cache.get_or_set("key", lambda: 1) == 1
        assert cache.get("key") is None
        assert "there is no table" in caplog.text

    def test_says_nothing_of_a_server_that_is_away(self, named):
        """Not that the table is there; the check leaves it to others."""
        alias = named("postgresql://nobody@127.0.0.1:1/none")
        assert run_checks(databases=["default"], tags=[Tags.database]) == []
        with pytest.raises(CommandError, match="refused"):
            call_command("holdover_createtable", alias)

    def test_is_not_needed_where_django_may_make_tables(self, postgres, monkeypatch):
        """A test's database, which is new each time, has its table by itself."""
        alias = add_database(monkeypatch, django_database(postgres))
        cache = RegionCache(f"django-db://{alias}", {})
        cache.set("key", 1)
        assert cache.get("key") == 1

    def test_makes_it(self, database, named, capsys):
        """Once; whoever runs the command again is told that it is there."""
        alias = named(f"django-db://{database}/site_cache", **PATIENT)
        call_command("holdover_createtable", alias)
        call_command("holdover_createtable", alias)
        made, there = capsys.readouterr().out.splitlines()
        assert "was made" in made
        assert "is there" in there
        caches[alias].set("key", 1)
        assert caches[alias].get("key") == 1
        drop(database, "site_cache")

    def test_prints_its_statements(self, postgres, monkeypatch, named, capsys):
        """With --dry-run, for those who may not run them; nothing is made."""
        database = add_database(monkeypatch, django_database(postgres))
        alias = named(f"django-db://{database}", CREATE_TABLE=False)
        call_command("holdover_createtable", alias, "--dry-run")
        ddl = capsys.readouterr().out
        with pytest.raises(errors.BackendError):
            caches[alias].region.get("key", strict=True)
        postgres.run(ddl)
        caches[alias].set("key", 1)
        assert caches[alias].get("key") == 1

    def test_finds_all_that_are_in_databases(self, tmp_path, named, capsys):
        """URLs of databases too; other caches need no table."""
        alias = named(f"sqlite:///{tmp_path}/cache.db")
        call_command("holdover_createtable")
        assert capsys.readouterr().out == f"-- cache {alias!r}: the table was made\n"

    def test_tells_what_is_none(self, named, tmp_path):
        """A cache that is elsewhere, and one whose settings are wrong."""
        elsewhere = named(str(tmp_path / "cache"))
        with pytest.raises(CommandError, match="no cache that Holdover keeps in a"):
            call_command("holdover_createtable", elsewhere)
        wrong = named("sqlite:////nowhere/cache.db")
        with pytest.raises(CommandError, match="no folder"):
            call_command("holdover_createtable", wrong)

    def test_leaves_what_is_somebody_else_s(self, postgres, monkeypatch, named):
        """A table of that name which is not ours is not touched."""
        postgres.run("CREATE TABLE foreign_cache (id int)")
        try:
            database = add_database(monkeypatch, django_database(postgres))
            alias = named(f"django-db://{database}/foreign_cache")
            with pytest.raises(CommandError, match="not one of Holdover's"):
                call_command("holdover_createtable", alias)
        finally:
            postgres.run("DROP TABLE foreign_cache")


def drop(database, table):
    """Remove a table by a connection of Django's own making."""
    wrapper = connections.create_connection(database)
    raw = wrapper.get_new_connection(wrapper.get_connection_params())
    cursor = raw.cursor()
    cursor.execute(f"DROP TABLE {table}")
    if isinstance(raw, psycopg.Connection):
        raw.commit()
    raw.close()
