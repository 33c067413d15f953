"""The house's arrows point one way; its rooms are small; its front door is light."""

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import holdover
from holdover import contrib_django, wsgi
from holdover.contrib_django import jobs

ROOT = Path(holdover.__file__).parent
LONGEST_FUNCTION = 40  # lines, without its docstring
LONGEST_FILE = 350

# DESIGN section 2, from the street to the cellar. A module may import what stands in
# its own layer or further down, and no circle may come of it.
LAYERS = {
    "doors": {
        "wsgi",
        "contrib_django",
        "demo",
        "cli",
        "dogpile",
        "testing",
        "__main__",
    },
    "face": {"", "errors", "events", "_version"},  # the public names
    "assembly": {
        "regions.registry",
        "regions.embedded",
        "tasks",
        "rq_jobs",
        "regions.config",
        "regions.spelling",
        "regions.beaker",
        "regions.schedule_config",
        "regions.warming_config",
        "regions.declared",
        "regions.beat",
    },
    "hall": {
        "regions.region",
        "regions.configured",
        "regions.decorating",
        "regions.reach",
        "regions.inline",
        "regions.assembling",
        "regions.settings",
        "regions.configurable",
        "regions.blaming",
        "regions.options",
        "regions.prefixed",
        "regions.urls",
        "regions.guarding",
        "regions.writing",
        "regions.cached",
        "regions.handles",
        "regions.creation",
        "regions.foreground",
        "regions.orders",
        "regions.crew",
        "regions.fulfilling",
        "regions.batches",
        "regions.reading",
        "regions.claims",
        "regions.leasing",
        "regions.holding",
        "regions.inspecting",
        "regions.many",
        "regions.cached_many",
        "regions.making",
        "regions.worker",
        "regions.within",
        "regions.schedule",
        "regions.recording",
        "regions.attendant",
        "regions.scheduling",
        "regions.observing",
        "regions.scheduler",
        "regions.diagnosing",
        "regions.worker_probe",
        "regions.probing",
        "regions.gathering",
        "regions.warming",
        "regions.warmer",
    },
    "mechanics": {
        "regions.calls",
        "regions.legacy",
        "regions.nearby",
        "regions.near",
        "regions.watching",
        "regions.tier",
        "regions.entries",
        "regions.removals",
        "regions.guard",
        "regions.redelivery",
        "regions.flights",
        "regions.leases",
        "regions.clocks",
        "regions.breaker",
        "regions.bucket",
        "regions.contexts",
        "regions.readers",
        "regions.task_options",
        "regions.terms",
        "regions.background",
        "regions.ordering",
        "regions.functions",
        "regions.bound",
        "regions.importing",
        "regions.foreign",
        "regions.forks",
        "regions.patience",
        "regions.errands",
        "regions.crowds",
        "regions.warnings",
        "regions.latch",
        "regions.seats",
        "regions.at_hand",
        "regions.familiar",
        "regions.by_key",
        "regions.backends.in_process",
        "regions.slots",
        "regions.outcomes",
        "regions.plugins",
        "regions.signatures",
        "regions.undelivered",
        "regions.uses",
        "regions.backends.host_files",
        "regions.backends.host_health",
        "regions.backends.host_locks",
        "regions.backends.host_records",
        "regions.slotbook",
        "regions.history",
        "regions.commands",
        "regions.counters",
        "regions.ledger",
        "regions.reporter",
        "regions.mailing",
        "regions.hot",
        "regions.parallel",
        "regions.pauses",
        "regions.warm_calls",
        "regions.shared_records",
        "regions.run_history",
        "regions.clearing",
    },
    "ports": {
        "regions.backends.base",
        "regions.backends.capabilities",
        "regions.backends.grants",
        "regions.backends.pushing",
        "regions.backends.receiving",
        "regions.backends.sending",
        "regions.backends.transactional",
        "regions.refresh.base",
        "regions.run_store",
    },
    "words": {
        "regions.errors",
        "regions.events",
        "regions.defaults",
        "regions.lifetime",
        "regions.freshness",
        "regions.decoding",
        "regions.envelope",
        "regions.envelope_form",
        "regions.keys",
        "regions.numbers",
        "regions.codecs",
        "regions.texts",
        "regions.encoding",
        "regions.codecs_msgpack",
        "regions.compression",
        "regions.sealing",
        "regions.signing",
        "regions.timesource",
        "regions.ticks",
        "regions.returned",
        "regions.due",
        "regions.due_cron",
        "regions.progress",
        "regions.runs",
        "regions.findings",
        "regions.warmth",
        "regions.heat",
        "regions.tops",
        "regions.figures",
        "regions.samples",
        "regions.fleet",
        "regions.values",
        "regions.written_calls",
        "regions.previews",
    },
}
ORDER = list(LAYERS)
PACKAGES = {"regions", "regions.backends", "regions.refresh"}  # their __init__: a text

# What an adapter may use besides its own rooms: words and ports, and these.
FOR_ADAPTERS = LAYERS["words"] | LAYERS["ports"] | {
    "regions.forks",
    "regions.background",
    "regions.latch",
    "regions.plugins",
    "regions.seats",
    "regions.at_hand",
    "regions.backends.in_process",
    "regions.slots",
    "regions.backends.host_files",
    "regions.backends.host_health",
    "regions.backends.host_locks",
    "regions.backends.host_records",
}  # fmt: skip
# Which of the mechanics and of the assembly may name an adapter.
MAY_NAME_ADAPTERS = {
    (
        "regions.assembling",
        "regions.refresh.thread",
    ),  # behind every queue stand threads
    ("regions.embedded", "regions.refresh.celery"),
    ("tasks", "regions.refresh.celery_task"),
    ("regions.embedded", "regions.refresh.celery_process"),
}

# The commands of manage.py are those of the command line.
MANAGEMENT = ".management."

# `testing` is for outside authors of adapters, so it sees what they see.
FOR_TESTING = FOR_ADAPTERS

# Doors read texts, numbers, spans and calls that people wrote, write plain data, warn,
# wait and survive forks as the house does; the rest of what they need is public.
FOR_DOORS = {
    "regions.codecs",
    "regions.errors",
    "regions.forks",
    "regions.keys",
    "regions.latch",
    "regions.lifetime",
    "regions.numbers",
    "regions.pauses",
    "regions.previews",
    "regions.texts",
    "regions.warnings",
    "regions.written_calls",
}

# Public names are `holdover`, `holdover.errors` and `holdover.events`, `testing` too.
# `tasks` and `rq_jobs` are what workers run.
PUBLIC = {"", "errors", "events", "testing", "tasks", "rq_jobs", "_version"}

OPTIONAL = [
    "celery", "kombu", "rq", "redis", "pymemcache", "pylibmc", "sqlalchemy", "django",
    "webob", "click", "rich", "matplotlib", "waitress", "msgspec", "dogpile",
    "hypothesis", "pytest", "cronsim", "cryptography", "beaker",
]  # fmt: skip


def modules():
    """Give name below `holdover`, path and syntax tree of each module."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix("__init__").removesuffix(".")
        yield name, path, ast.parse(path.read_text())


MODULES = list(modules())
NAMES = {name for name, _, _ in MODULES}


def below(dotted):
    """Give what stands below `holdover` in a dotted name; None if it is elsewhere."""
    if dotted == "holdover":
        return ""
    return dotted.removeprefix("holdover.") if dotted.startswith("holdover.") else None


def imports(name, tree):
    """Give the modules of ours that a module imports, wherever it says so."""
    package = name in PACKAGES or any(other.startswith(f"{name}.") for other in NAMES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = f"holdover.{name}".split(".")
                up = up[: len(up) - node.level + package]
                base = ".".join([*up, *([base] if base else [])])
            targets = [
                f"{base}.{alias.name}"
                if below(f"{base}.{alias.name}") in NAMES
                else base
                for alias in node.names
            ]
        else:
            continue
        yield from (below(target) for target in targets if below(target) is not None)


ARROWS = sorted({(name, to) for name, _, tree in MODULES for to in imports(name, tree)})


def door(name):
    """Give the door to which a module belongs; None if to none."""
    first = name.partition(".")[0]
    return first if first in LAYERS["doors"] else None


def layer(name):
    """Give the layer of a module; None for adapters and the packages' texts."""
    if door(name):
        return "doors"
    return next((one for one, held in LAYERS.items() if name in held), None)


def is_adapter(name):
    """Say whether a module is an adapter."""
    return (
        name.startswith(("regions.backends.", "regions.refresh."))
        and layer(name) is None
    )


def own_rooms(adapter):
    """Give the beginning of the names of the modules that belong to an adapter."""
    package, _, last = adapter.rpartition(".")
    return f"{package}.{last.partition('_')[0]}"


def is_allowed(source, target):  # noqa: C901, PLR0911 - one line per kind of room
    """Say whether the design has an arrow from *source* to *target*."""
    if target in PACKAGES:
        return False  # nothing is in there
    if door(source):
        if door(source) == door(target):
            return True
        if source.partition(".")[0] == "testing":
            return target in FOR_TESTING or target in PUBLIC
        if door(source) == "demo":  # as a user would
            return target in PUBLIC or bool(door(target))
        if (door(source), door(target)) in {("cli", "demo"), ("__main__", "cli")}:
            return True  # the command that runs it
        if MANAGEMENT in source and door(target) == "cli":
            return True  # one manner for all commands, whoever starts them
        return target in PUBLIC - {"testing"} | FOR_DOORS
    if is_adapter(source):
        return target in FOR_ADAPTERS or own_rooms(source) == own_rooms(target)
    if is_adapter(target):
        return (source, target) in MAY_NAME_ADAPTERS or layer(source) == "face"
    if layer(target) is None or layer(source) is None:
        return False
    return ORDER.index(layer(source)) <= ORDER.index(layer(target))


def test_every_module_has_its_place():
    """A new module is put into the table before anything can import it."""
    lost = [
        name
        for name in NAMES
        if layer(name) is None and not is_adapter(name) and name not in PACKAGES
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("house", "most"), [("regions", 30), ("wsgi", 20), ("contrib_django", 45)]
)
def test_the_guide_names_rooms_that_there_are(house, most):
    """Whoever follows CONTRIBUTING's tables finds what they send him to."""
    guide = (ROOT.parent / "CONTRIBUTING.rst").read_text()
    _, _, table = guide.partition(f"``holdover/{house}``:\n\n")
    rooms = re.findall(r"``([a-z_.]+)``", table.partition("\n\n")[0])
    assert len(rooms) > most
    assert [room for room in rooms if f"{house}.{room}" not in NAMES] == []


@pytest.mark.parametrize("source", sorted({source for source, _ in ARROWS}))
def test_arrows_point_one_way(source):
    """Each module imports only what DESIGN section 2 lets it import."""
    wrong = [
        target for origin, target in ARROWS if origin == source
        and not is_allowed(source, target)
    ]  # fmt: skip
    assert wrong == []


def test_no_import_circle():
    """No module imports itself over any number of others, not even for its types."""
    reached = {}
    for source, target in ARROWS:
        # What is public is imported lazily by the face; it leads nowhere by itself.
        if layer(source) != "face":
            reached.setdefault(source, set()).add(target)

    def circles(name, path):
        if name in path:
            return [(*path[path.index(name) :], name)]
        return [
            circle
            for target in reached.get(name, ())
            for circle in circles(target, (*path, name))
        ]

    assert [circle for name in sorted(reached) for circle in circles(name, ())] == []


# What decides about sessions and knows neither store nor request.
SESSION_WORDS = {
    "wsgi.sessions.cookie",
    "wsgi.sessions.errors",
    "wsgi.sessions.fields",
    "wsgi.sessions.headers",
    "wsgi.sessions.record",
    "wsgi.lists",
}
# Where Beaker keeps sessions: each knows its own library, and no other place.
BEAKER_PLACES = {
    f"wsgi.sessions.beaker_{place}" for place in ("files", "memcached", "redis", "sql")
}


def test_what_decides_about_sessions_asks_nobody():
    """Every decision can be tested without a store, a clock or a request."""
    assert SESSION_WORDS <= NAMES
    assert [
        (source, target) for source, target in ARROWS
        if source in SESSION_WORDS and door(target) and target not in SESSION_WORDS
    ] == []  # fmt: skip


def test_places_of_beaker_s_do_not_know_each_other():
    """Nobody needs a library for a place that he does not use."""
    assert BEAKER_PLACES <= NAMES
    assert [
        (source, target) for source, target in ARROWS
        if source in BEAKER_PLACES and target in BEAKER_PLACES
    ] == []  # fmt: skip


# The rooms of the Django door, from the cellar up; what is not named stands on top.
DJANGO_FLOORS = (
    {"models", "project", "stale"},
    {"caches"},
    {"jobs", "live", "orm", "pages", "periodic"},
)
# What decides there, and knows neither cache nor database.
DJANGO_WORDS = {
    f"contrib_django.{name}"
    for name in (
        "caches.location",
        "orm.changes",
        "orm.tags",
        "pages.entries",
        "pages.places",
        "pages.policy",
        "pages.rules",
        "pages.wanted",
        "periodic.timetable",
        "stale.keys",
    )
}


def floor(room):
    """Give the floor of a room of the Django door."""
    named = (number for number, held in enumerate(DJANGO_FLOORS) if room in held)
    return next(named, len(DJANGO_FLOORS))


def goes_up(source, target):
    """Say whether an arrow within the Django door leads up, or to a neighbour."""
    begins, ends = (f"{name}.".split(".")[1] for name in (source, target))
    if begins == ends or floor(begins) == len(DJANGO_FLOORS):
        return False
    return floor(begins) <= floor(ends) and {begins, ends} != {"models", "project"}


def test_rooms_of_the_django_door_stand_on_each_other():
    """Pages, jobs and models do without each other, and caches without them all."""
    rooms = {name.split(".")[1] for name in NAMES if name.startswith("contrib_django.")}
    assert set().union(*DJANGO_FLOORS) <= rooms
    assert [
        (source, target) for source, target in ARROWS
        if door(source) == door(target) == "contrib_django" and goes_up(source, target)
    ] == []  # fmt: skip


def test_what_decides_for_django_asks_nobody():
    """Every decision can be tested without a cache and without a database."""
    assert DJANGO_WORDS <= NAMES
    assert [
        (source, target) for source, target in ARROWS
        if source in DJANGO_WORDS and door(target) and target not in DJANGO_WORDS
    ] == []  # fmt: skip
    found = {
        (name, f"{node.module}.{alias.name}")
        for name, _, tree in MODULES
        if name in DJANGO_WORDS
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert len(found) > len(DJANGO_WORDS)
    stores = ("django.db", "django.core.cache.cache")  # caches, too
    assert [one for one in found if one[1].startswith(stores)] == []


def test_the_core_knows_no_framework():
    """Django and WebOb live behind their doors; the core does not know them."""
    strangers = {"django", "webob", "click", "rich", "flask", "waitress"}
    for name, _, tree in MODULES:
        if not name.startswith("regions"):
            continue
        for node in ast.walk(tree):
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found = [node.module or ""]
            assert strangers.isdisjoint(one.partition(".")[0] for one in found), name


# -- sizes ---------------------------------------------------------------------


def lines_of(function):
    """Count a function's lines, without its docstring and its decorators."""
    total = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return total
    return total - (first.end_lineno - first.lineno + 1)


def test_functions_are_short():
    """A function is one sentence: never more than forty lines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert [
        (name, node.name, lines_of(node))
        for name, _, tree in MODULES
        for node in ast.walk(tree)
        if isinstance(node, kinds) and lines_of(node) > LONGEST_FUNCTION
    ] == []


@pytest.mark.parametrize(
    ("name", "path"), [(name or "holdover", path) for name, path, _ in MODULES]
)
def test_files_are_short(name, path):
    """A file that has grown too long is two files."""
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


# -- the front door ------------------------------------------------------------


def loaded_by(statement):
    """Run *statement* in a new process; give the modules that it has loaded."""
    script = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


def test_importing_holdover_loads_nothing():
    """`import holdover` loads no optional library, not dogpile, not even the core."""
    loaded = loaded_by("import holdover")
    assert loaded.isdisjoint(OPTIONAL)
    assert {"holdover", "holdover._version"} == {
        name for name in loaded if name.startswith("holdover")
    } - {name for name in loaded if name.startswith("__editable__")}


@pytest.mark.parametrize(
    "statement",
    [
        "from holdover import make_region, registry, Region, Lifetime, ThreadRunner",
        "import holdover; holdover.make_region().configure('holdover.memory')",
        "import holdover.errors, holdover.events",
    ],
)
def test_the_core_loads_no_optional_library(statement):
    """Nobody pays for what he does not use: the core needs only dogpile.cache."""
    assert loaded_by(statement).isdisjoint(set(OPTIONAL) - {"dogpile"})


# What a plain region has no use for: it comes with what asks for it.
FOR_OTHERS = [
    "asyncio", "concurrent.futures", "configparser", "decimal", "difflib",
    "fractions", "multiprocessing", "smtplib", "sqlite3", "ssl", "statistics",
    "subprocess", "urllib.request", "uuid", "zoneinfo",
]  # fmt: skip
FOR_OTHER_REGIONS = {
    "attendant", "beaker", "blaming", "commands", "config", "declared", "diagnosing",
    "due", "figures", "findings", "fleet", "foreign", "handles", "heat", "history",
    "hot", "inspecting", "ledger", "mailing", "near", "nearby", "options", "prefixed",
    "progress", "readers", "recording", "reporter", "run_history", "runs", "schedule",
    "schedule_config", "shared_records", "slotbook", "spelling", "texts", "tops",
    "urls", "warm_calls", "warming_config", "warmth", "watching", "worker_probe",
}  # fmt: skip
# Each costs 0.3 ms of every start of every program; what is new should be worth that.
MOST_MODULES = 102
PLAIN = """
from holdover import make_region
region = make_region().configure("holdover.memory", 60)
@region.cache_on_arguments()
def double(number):
    return 2 * number
assert double(4) == double(4) == 8
"""


def test_a_plain_region_loads_what_it_needs():
    """A decorated function in memory pays for no schedule, no mail and no file."""
    loaded = loaded_by(f"exec({PLAIN!r})")
    ours = {below(name) for name in loaded} & NAMES
    assert loaded.isdisjoint(FOR_OTHERS)
    assert loaded.isdisjoint(set(OPTIONAL) - {"dogpile"})
    assert {f"regions.{name}" for name in FOR_OTHER_REGIONS} <= NAMES
    assert ours.isdisjoint({f"regions.{name}" for name in FOR_OTHER_REGIONS})
    assert 50 < len(ours) <= MOST_MODULES


HITS = """
import sys
before = set(sys.modules)
double.refresh(4), double.invalidate(4), double(5), double.get(6), double.set(1, 7)
region.set("key", 1), region.get("key"), region.delete("key"), region.invalidate()
region.get_or_create("key", lambda: 1), region.get_multi(["key"])
region.get_or_create_multi(["key", "other"], lambda *keys: keys)
def fail():
    raise LookupError
try:
    region.get_or_create("failing", fail)
except LookupError:
    pass
double.expire(5), double(5)
assert set(sys.modules) == before, set(sys.modules) - before
"""


def test_what_is_configured_imports_nothing_more():
    """Whoever is served waits for no import, in whatever thread or fork he is."""
    loaded_by(f"exec({PLAIN + HITS!r})")


@pytest.mark.parametrize("name", holdover.__all__)
def test_public_names(name):
    """Each public name can be imported, is listed, and says what it is for."""
    namespace = {}
    exec(f"from holdover import {name}", namespace)
    assert name in dir(holdover)
    if name != "__version__":
        assert inspect.getdoc(namespace[name])


@pytest.mark.parametrize("name", wsgi.__all__)
def test_public_names_of_the_wsgi_door(name):
    """So can each of the door's, which are loaded one by one."""
    assert name in dir(wsgi)
    assert inspect.getdoc(getattr(wsgi, name))
    assert getattr(wsgi, name).__module__ == wsgi._HOMES[name]


@pytest.mark.parametrize(
    ("face", "name"),
    [(face, name) for face in (contrib_django, jobs) for name in face.__all__],
)
def test_public_names_of_the_django_door(face, name):
    """So can those of Django's, and each is in its documentation."""
    found, home = getattr(face, name), face._HOMES[name]
    assert name in dir(face)
    assert inspect.getdoc(found)
    assert found.__module__.endswith(home)
    pages = (ROOT.parent / "docs").glob("django*.rst")
    assert any(re.search(rf"\b{name}\b", page.read_text()) for page in pages)


def test_public_methods_are_documented():
    """So are the public methods of public classes that are our own."""
    silent = [
        f"{name}.{method}"
        for name in holdover.__all__
        if inspect.isclass(kind := getattr(holdover, name))
        for method, value in vars(kind).items()
        if not method.startswith("_") and callable(value) and not inspect.getdoc(value)
    ]
    assert silent == []


def test_an_unknown_name():
    """A mistyped public name is Python's own error."""
    with pytest.raises(AttributeError, match="no attribute 'make_regoin'"):
        _ = holdover.make_regoin
    with pytest.raises(ImportError):
        exec("from holdover import nonsense")


def test_star_import():
    """``from holdover import *`` gives the public names."""
    namespace = {}
    exec("from holdover import *", namespace)
    assert set(holdover.__all__) <= set(namespace)
