"""Django's own tests for caches, unmodified, hold for ours."""

import json
import shutil
from pathlib import Path

import django
import pytest
from test_dogpile_suite import run_tests, those

HERE = Path(__file__).parent
SUITE = HERE.parent / ".django-suite" / django.__version__
# Where ours is to differ, and why.
DIFFERENT = {
    "MemoryTests::test_cull": "a full store drops what it must, not a third of all",
    "MemoryTests::test_zero_cull": "nor all, as CULL_FREQUENCY=0 would have it",
}
# Django leaves these out where CACHES bound no store by a number of entries.
CULLING = {"test_cull", "test_cull_delete_when_store_empty", "test_zero_cull"}
KINDS = 8  # of stores, in django_on_ours


@pytest.mark.dropin
@pytest.mark.timeout(600)
def test_what_holds_for_django_s_caches_holds_for_ours(
    tmp_path, monkeypatch, redis_server, emptied_postgres, memcached_server
):
    """All that it asks of any cache is so on ours, but for what a table names."""
    assert SUITE.is_dir(), f"there is no {SUITE}: make test-setup fetches it"
    folder = tmp_path / "suite"
    shutil.copytree(SUITE, folder)
    copy = folder / "cache" / "test_on_ours.py"
    shutil.copy(HERE / "django_on_ours.py", copy)
    servers = {
        "redis": redis_server.url,
        "postgresql": emptied_postgres.url,
        "memcached": memcached_server.url,
    }
    monkeypatch.setenv("HOLDOVER_SERVERS", json.dumps(servers))
    # By class: those of one share a store, and clear it.
    by_class = ("-n", "4", "--dist", "loadscope")
    found = run_tests(folder, "-p", "django_ours", str(copy), parallel=by_class)
    different = {test.partition("::")[2] for test in those("failure", found)}
    assert different == set(DIFFERENT)
    skipped = those("skipped", found)
    assert {test.rpartition("::")[2] for test in skipped} == CULLING
    assert not any("MemoryTests" in test for test in skipped)
    assert not those("error", found)
    assert len(those("passed", found)) >= 50 * KINDS
