"""What the documents say is what the code does."""

import re
import subprocess
import sys
import types
from dataclasses import fields
from inspect import signature
from pathlib import Path

import capability_table
import contract_matrix
import pytest
from django.core.cache import CacheHandler
from http_shop import environ_for
from waiting import wait_until

from holdover import NO_VALUE, Figures, Registry
from holdover.cli import main
from holdover.regions import plugins, urls
from holdover.regions.backends.redis import RedisBackend
from holdover.testing import ChaosBackend, ChaosCodec, ChaosRunner, toxics
from holdover.wsgi import BeakerSessions, HTTPCachePolicy, SessionOptions

ROOT = Path(__file__).parent.parent


def test_the_backends_tables_are_what_they_declare():
    """The page shows what the script makes of the backends' own words."""
    text = capability_table.PAGE.read_text()
    assert text == capability_table.rewritten(text), "run tools/capability_table.py"
    sections = re.findall(r"^``(holdover\.\w+)``\n-", text, re.MULTILINE)
    one_for_both = {name.replace(".valkey", ".redis") for name in plugins.BACKENDS}
    assert one_for_both == set(sections)


def test_the_contract_s_page_is_of_these_tests():
    """Every promise and backend is in the matrix, and every class has a column."""
    text = contract_matrix.PAGE.read_text()
    assert text.startswith(contract_matrix.HEAD)
    _, head, _, *rows, _ = text.removeprefix(contract_matrix.HEAD).splitlines()
    assert head.split() == ["Promise", *contract_matrix.BACKENDS]
    promises = {re.split(r"  +", row)[0] for row in rows}
    assert promises == set(contract_matrix.PROMISES)
    for path in (
        "test_backends.py",
        "test_backends_in_trouble.py",
        "test_keyed_backend.py",
    ):
        code = (ROOT / "tests" / path).read_text()
        classes = re.findall(r"^class (Test\w+)", code, re.MULTILINE)
        assert classes
        assert [one for one in classes if not contract_matrix.backend_of(one)] == []


def test_the_tables_are_well_formed():
    """No text runs from one column into the next: readers would see an error."""
    ruled = re.compile(r"^(=+(?:  =+)+)\n(.+\n)\1\n((?:.+\n)+?)\1$", re.MULTILINE)
    pages = [*ROOT.glob("*.rst"), *(ROOT / "docs").glob("*.rst")]
    tables = [found for page in pages for found in ruled.findall(page.read_text())]
    assert len(tables) > len(pages)
    for rule, head, rows in tables:
        margins = [place.start() for place in re.finditer("  ", rule)]
        for row in f"{head}{rows}".splitlines():
            assert not [row for at in margins if row[at : at + 2].strip()], row


def test_every_codec_is_in_the_table():
    """The table of codecs names those that there are, with their extras."""
    text = (ROOT / "docs" / "codecs.rst").read_text()
    found = re.findall(r"^``(\w+)`` .* (-|``holdover\[\w+\]``)$", text, re.MULTILINE)
    assert {name: extra.strip("`") for name, extra in found} == {
        name: f"holdover[{plugin.extra}]" if plugin.extra else "-"
        for name, plugin in plugins.CODECS.items()
    }


def test_the_readme_s_code_runs(tmp_path):
    """The first steps of the README run as they are written."""
    text = (ROOT / "README.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    first = re.sub(r"^    ", "", blocks[0], flags=re.MULTILINE)
    first = first.replace("/var/cache/shop", str(tmp_path / "shop"))
    assert "price_of.refresh(17)" in first
    names = {}
    exec(first, names)
    assert names["region"].is_configured


def examples(kind):
    """The examples of one language in the chapter about configuration."""
    text = (ROOT / "docs" / "configuration.rst").read_text()
    found = re.findall(rf"\.\. code-block:: {kind}\n\n((?:    .*\n|\n)+)", text)
    assert found
    return [re.sub(r"^    ", "", one, flags=re.MULTILINE) for one in found]


def test_the_examples_of_configuration_run(tmp_path, monkeypatch):
    """Each call configures regions, from the file and the variables that it needs."""
    (tmp_path / "shop.ini").write_text(examples("ini")[0])
    monkeypatch.chdir(tmp_path)
    for line in examples("shell")[0].split():
        monkeypatch.setenv(*line.split("=", 1))
    for code in examples("python"):
        names = {}
        exec(code.replace("/var/cache/shop", str(tmp_path / "shop")), names)
        made = names.get("caches") or {"prices": names["prices"]}
        assert all(made[name].is_configured for name in made)
        assert made["prices"].expiration_time == 300


def test_the_example_with_parts_of_a_mapping_is_read(tmp_path):
    """Every word of it reaches the backend."""
    (tmp_path / "shop.ini").write_text(examples("ini")[1])
    caches = Registry()
    caches.configure_from_ini(tmp_path / "shop.ini")
    held = caches["prices"].backend
    assert held.sentinels == [("one", 26379), ("two", 26379), ("three", 26379)]
    assert held.ssl
    assert held.connection_kwargs["ssl_ca_certs"] == "/etc/ssl/our-ca.pem"


def test_the_example_in_beaker_s_spelling_is_read(tmp_path):
    """Beaker's file is one that we read."""
    (tmp_path / "shop.ini").write_text(examples("ini")[2])
    caches = Registry()
    caches.configure_from_ini(tmp_path / "shop.ini", "app:main")
    spans = {name: caches[name].expiration_time for name in caches}
    assert spans == {"short": 60, "long": 3600}


def test_the_code_for_beaker_s_users_runs():
    """The page for them, from top to bottom, is one program that runs."""
    page = types.ModuleType("beaker_page")
    for block in blocks("beaker.rst"):
        exec(block, vars(page))
    assert page.search("tea") == "TEA"
    answer = page.app({}, lambda status, headers: None)
    assert answer == [b"A"]


def test_every_scheme_is_in_the_table():
    """The table names the schemes that there are, and the backends behind them."""
    text = (ROOT / "docs" / "configuration.rst").read_text()
    rows = re.findall(r"^(``[\w-]+://.*``) +``(holdover\.\w+)``", text, re.MULTILINE)
    found = {
        scheme: backend
        for shown, backend in rows
        for scheme in re.findall(r"``([\w-]+)://", shown)
    }
    assert found == {name: scheme.backend for name, scheme in urls.SCHEMES.items()}


def test_the_decorators_code_runs(monkeypatch):
    """The page on decorators, from top to bottom, is one program that runs."""
    text = (ROOT / "docs" / "decorators.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    program = re.sub(r"^    ", "", "\n".join(blocks), flags=re.MULTILINE)
    page = types.ModuleType("decorators_page")
    monkeypatch.setitem(sys.modules, "decorators_page", page)
    exec(program, vars(page))
    assert page.price_of.get(17) is NO_VALUE
    assert page.cart.total.get("CHF") is NO_VALUE
    assert page.region.cached(page.fetch).get(17) == {"article": 17}


def test_the_django_settings_work(redis_server):
    """The page's way to Redis makes a cache that keeps what it is given there."""
    text = (ROOT / "docs" / "django.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    code = re.sub(r"^    ", "", blocks[0], flags=re.MULTILINE)
    settings = {}
    exec(code.replace("redis://localhost/0", redis_server.url), settings)
    cache = CacheHandler(settings["CACHES"])["default"]
    cache.set("key", {"any": {"value"}})
    assert cache.get("key") == {"any": {"value"}}
    assert type(cache.region.backend) is RedisBackend


def test_the_policies_code_runs():
    """The page on policies, from top to bottom, is one program that runs."""
    text = (ROOT / "docs" / "policies.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    names = {"__name__": "policies_page"}
    exec(re.sub(r"^    ", "", "\n".join(blocks), flags=re.MULTILINE), names)
    assert names["told"].reachable


def test_the_sessions_code_runs(redis_server, capsys, monkeypatch):
    """The page on sessions, from top to bottom, is one program that runs."""
    text = (ROOT / "docs" / "sessions.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    program = re.sub(r"^    ", "", "\n".join(blocks), flags=re.MULTILINE)
    page = types.ModuleType("sessions_page")  # which Pyramid looks for
    monkeypatch.setitem(sys.modules, page.__name__, page)
    names = vars(page)
    exec(program.replace("redis://localhost/0", redis_server.url), names)
    assert "Set-Cookie: __Host-session=" in capsys.readouterr().out
    got = []
    environ = {"HTTP_COOKIE": ""}
    assert names["application"](environ, lambda *said: got.append(said)) == [b"visit 1"]
    assert "Set-Cookie" in dict(got[0][1])


def test_the_http_cache_s_code_runs(redis_server, tmp_path):
    """The page on the HTTP response cache, from top to bottom, is one program."""
    program = "\n".join(blocks("http_cache.rst"))
    program = program.replace("redis://localhost/0", redis_server.url)
    names = {"__name__": "page"}
    exec(program.replace("/var/cache/shop", str(tmp_path / "pages")), names)
    got = []
    for view, said in (("prices", b"tea: 4.20"), ("news", b"nothing new")):
        names["cached"] = names["HTTPCacheMiddleware"](names[view], "memory://")
        for _ in range(2):
            environ = environ_for()
            body = names["cached"](environ, lambda *head: got.append(dict(head[1])))
            assert b"".join(body) == said
        assert "hit;ttl=59" in got[-1]["Cache-Status"]


def test_every_option_of_the_http_cache_is_in_the_table():
    """With its default, where that is a plain one."""
    text = (ROOT / "docs" / "http_cache.rst").read_text()
    table = text.partition("Option  ")[2].partition("Steering from")[0]
    rows = dict(re.findall(r"^``(\w+)``  +(\S+)", table, re.MULTILINE))
    assert set(rows) == {one.name for one in fields(HTTPCachePolicy)}
    plain = {one.name: one.default for one in fields(HTTPCachePolicy)
             if type(one.default) in (bool, int, float)}  # fmt: skip
    shown = {name: rows[name].replace(",", "") for name in plain}
    assert shown.pop("heuristic_most") == "1"
    del plain["heuristic_most"]
    assert shown == {name: f"{value:.0f}" if type(value) is float else str(value)
                     for name, value in plain.items()}  # fmt: skip


def test_every_option_of_sessions_is_in_the_table():
    """The page names what there is, and our names for what Beaker has."""
    text = (ROOT / "docs" / "sessions.rst").read_text()
    table = text.partition("Option  ")[2].partition("A bound of")[0]
    named = re.findall(r"^``(\w+)`` ", table, re.MULTILINE)
    assert {*named, "now"} == {one.name for one in fields(SessionOptions)}


def test_every_option_of_a_migration_is_in_its_table():
    """The page names what there is."""
    text = (ROOT / "docs" / "sessions.rst").read_text()
    _, _, rest = text.partition("Sessions that Beaker has left\n")
    table = rest.partition("Option  ")[2].partition("\n- ")[0]
    firsts = "\n".join(line[:37] for line in table.splitlines())
    named = re.findall(r"``(\w+)``", firsts)
    assert sorted(named) == sorted(one.name for one in fields(BeakerSessions))


def test_the_warming_code_runs():
    """The page on warming, from top to bottom, is one program that runs."""
    text = (ROOT / "docs" / "warming.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    assert len(blocks) == 3
    page = types.ModuleType("warming_page")  # what is hot has a name to be found by
    for block in blocks:
        exec(re.sub(r"^    ", "", block, flags=re.MULTILINE), vars(page))
    assert page.region.warmings[1].count is None


def test_the_warming_file_is_read(tmp_path, monkeypatch):
    """The page's ini file declares what it says."""
    text = (ROOT / "docs" / "warming.rst").read_text()
    [block] = re.findall(r"\.\. code-block:: ini\n\n((?:    .*\n|\n)+)", text)
    path = tmp_path / "shop.ini"
    path.write_text(re.sub(r"^    ", "", block, flags=re.MULTILINE))
    caches = Registry()
    shop = types.ModuleType("shop.prices")
    shop.price_of = caches["shop"].cache_on_arguments()(lambda article: article)
    shop.names_of = caches["shop"].cache_multi_on_arguments()(lambda *ids: list(ids))
    queries = types.ModuleType("shop.queries")
    queries.bestsellers = list
    for module in (types.ModuleType("shop"), shop, queries):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    caches.warming_from_ini(path)
    assert [one.group for one in caches["shop"].warmings] == ["front", "front"]


def test_the_figures_code_runs(capsys):
    """The first example prints what its comments say, and the second one reads."""
    first, second = blocks("figures.rst")
    names = {}
    exec(first, names)
    assert capsys.readouterr().out.startswith("1 1 0.5\n1 ")
    exec(second, names)
    assert "0.0\n0\n0 []\n" == capsys.readouterr().out


def test_every_figure_is_in_the_table():
    """The chapter names all that is counted."""
    text = (ROOT / "docs" / "figures.rst").read_text()
    assert [name for name in Figures().as_dict() if f"``{name}``" not in text] == []


def test_the_testing_code_runs(redis_server, tmp_path):
    """Every test on the page on testing is one, and passes."""
    code = "\n".join(blocks("testing.rst")).replace("6379", str(redis_server.port))
    page = types.ModuleType("testing_page")
    exec(code, vars(page))
    tests = [one for name, one in vars(page).items() if name.startswith("test_")]
    assert len(tests) == 7
    for test in tests:
        with pytest.MonkeyPatch.context() as patch:
            given = {"tmp_path": tmp_path, "monkeypatch": patch}
            test(**{name: given[name] for name in signature(test).parameters})


def test_every_trouble_is_on_its_page():
    """The tables name all toxics, and what may befall a call."""
    text = (ROOT / "docs" / "testing.rst").read_text()
    told = re.findall(r"^``(\w+)", text, re.MULTILINE)
    assert {*toxics.__all__} - {"Stream", "Toxic"} <= set(told)
    assert {fate.value for fate in ChaosBackend.fates} <= set(told)
    for wrapper in (ChaosCodec, ChaosRunner):
        assert all(f"``{fate.value}``" in text for fate in wrapper.fates)


def test_the_schedules_code_runs():
    """The page on schedules, from top to bottom, is one program that runs."""
    text = (ROOT / "docs" / "schedules.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    names = {"__name__": "schedules_page"}
    exec(re.sub(r"^    ", "", "\n".join(blocks), flags=re.MULTILINE), names)
    assert ["time", "tidy"] == list(names["caches"]["shop"].schedules)


def test_the_schedules_file_is_read(tmp_path):
    """The page's ini file configures a region and declares its schedules."""
    text = (ROOT / "docs" / "schedules.rst").read_text()
    [block] = re.findall(r"\.\. code-block:: ini\n\n((?:    .*\n|\n)+)", text)
    path = tmp_path / "shop.ini"
    file = re.sub(r"^    ", "", block, flags=re.MULTILINE)
    path.write_text(file.replace("/var/cache", str(tmp_path)))
    caches = Registry()
    caches.configure_from_ini(path)
    caches.schedule_from_ini(path)
    assert ["time", "tidy"] == list(caches["shop"].schedules)


def test_links_lead_somewhere():
    """Every file that a document links to is there."""
    for document in [*ROOT.glob("*.rst"), *(ROOT / "docs").glob("*.rst")]:
        for target in re.findall(r"<([\w/.-]+\.rst)>`_", document.read_text()):
            assert (document.parent / target).exists(), (document, target)


def blocks(page):
    """The Python of a page, block by block."""
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    return [re.sub(r"^    ", "", one, flags=re.MULTILINE) for one in found]


def test_the_runners_code_runs(monkeypatch):
    """The page on runners, but for its first block and Huey's, is one program."""
    _, *parts, _ = blocks("runners.rst")
    page = types.ModuleType("runners_page")
    monkeypatch.setitem(sys.modules, "runners_page", page)
    exec(
        "from holdover import CeleryRunner, make_region\n" + "".join(parts), vars(page)
    )
    assert page.urgent(2026) == page.sales(2026) == 2026
    assert page.for_tenant


def test_the_runner_for_huey_works(tmp_path, monkeypatch, redis_server):
    """A stale value is refreshed by a real consumer of Huey's."""
    code = blocks("runners.rst")[-1]
    code = code.replace("redis://localhost:6379/1", redis_server.url)
    code = code.replace("/var/cache/shop", str(tmp_path / "cache"))
    (tmp_path / "shop_huey.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    import shop_huey as shop

    shop.price.set("old", 1)
    shop.prices.invalidate(hard=False)
    assert shop.price(1) == "old"
    command = [sys.executable, "-m", "huey.bin.huey_consumer", "shop_huey.huey"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as consumer:
        try:
            assert wait_until(lambda: (got := shop.price(1)) != "old" and got)[0] == 1
        finally:
            consumer.kill()
    assert shop.huey.pending_count() == 0


def test_every_command_is_on_its_page():
    """The table names the commands that there are, and the code at its end runs."""
    text = (ROOT / "docs" / "command_line.rst").read_text()
    told = set(re.findall(r"^``holdover (\w+)", text, re.MULTILINE))
    assert set(main.commands) <= told
    [code] = blocks("command_line.rst")
    exec(code, {})
