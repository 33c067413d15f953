"""django-dumbwaiter's settings: each has its effect, and wrong ones are told."""

import json
import pickle
import sys
import types

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import load_command_class

from holdover import Registry, Scheduler, errors
from holdover.contrib_django.dumbwaiter import get_value
from holdover.contrib_django.dumbwaiter.waiting import (
    declare,
    dumbwaiter_region,
    threads_of_project,
)
from holdover.contrib_django.models import ScheduleRun
from holdover.contrib_django.project.configuring import configure
from holdover.regions.recording import _Elsewhere

pytestmark = pytest.mark.django_db


def pair(first, second=2):
    """Give what it is given."""
    return [first, second]


def nothing():
    """Give nothing, which is a value."""


def fail():
    """Fail."""
    raise ValueError("no such thing")


@pytest.fixture
def waiter(settings, monkeypatch):
    """Give what sets the settings and declares the list; it gives the region."""
    module = types.ModuleType("project_registry")
    monkeypatch.setitem(sys.modules, "project_registry", module)
    monkeypatch.setattr(_Elsewhere, "store", None)

    def declared(*functions, regions=None, **given):
        module.registry = Registry()
        settings.HOLDOVER = {
            "registry": "project_registry.registry",
            "regions": regions or {"jobs": {"backend": "holdover.memory"}},
        }
        settings.DUMBWAITER_FUNCTION_LIST = list(functions)
        for name, value in given.items():
            setattr(settings, name, value)
        configure()
        declare()
        return dumbwaiter_region()

    return declared


def run(region):
    """Run everything once."""
    return Scheduler(region, threads=0).run_once()


class TestTheList:
    def test_its_entries(self, waiter):
        """A path or a function, its arguments, how often, and how many are saved."""
        region = waiter(
            {
                "function": f"{__name__}.pair",
                "name": "pair",
                "frequency": 15,
                "args": [1],
                "kwargs": {"second": 5},
                "max_saved": 3,
            },
            {"function": nothing},
        )
        run(region)
        assert [1, 5] == get_value("pair")
        assert ("every 15 s", 3) == (
            str(region.schedules["pair"].due),
            region.schedules["pair"].history,
        )
        [other] = set(region.schedules) - {"pair"}
        assert f"{__name__}:nothing" == other
        assert get_value(other, 7) is None

    def test_before_the_first_run(self, waiter):
        """There is no value, and none is computed; unknown names are an error."""
        waiter({"function": "time.time", "name": "time"})
        assert get_value("time") is None
        assert 7 == get_value("time", 7)
        with pytest.raises(errors.UnknownSchedule, match="Did you mean 'time'"):
            get_value("tiem")

    def test_what_fails_is_reported(self, waiter):
        """In the database, where values are, too."""
        run(waiter({"function": fail, "name": "bad"}, {"function": pair, "name": "x"}))
        bad = ScheduleRun.objects.get(name="bad", region="dumbwaiter")
        assert "ValueError: no such thing" == bad.error
        assert get_value("bad") is None

    def test_it_is_declared_once(self, waiter):
        """However often the apps are made ready."""
        region = waiter({"function": "time.time", "name": "time"})
        declare()
        assert ["time"] == list(region.schedules)

    def test_no_list(self, waiter, settings):
        """Without functions there is nothing to run."""
        assert {} == dict(waiter().schedules)


class TestSettings:
    def test_default_frequency(self, waiter):
        """DUMBWAITER_DEFAULT_FREQUENCY holds for those that say nothing of it."""
        plain = {"function": "time.time", "name": "time"}
        assert "every 300 s" == str(waiter(plain).schedules["time"].due)
        other = {"function": "time.time", "name": "other", "frequency": 15}
        region = waiter(plain, other, DUMBWAITER_DEFAULT_FREQUENCY=60)
        found = [str(one.due) for one in region.schedules.values()]
        assert ["every 60 s", "every 15 s"] == found

    def test_default_saved(self, waiter):
        """DUMBWAITER_DEFAULT_SAVED does so for how many are kept."""
        plain = {"function": "time.time", "name": "time"}
        assert 10 == waiter(plain).schedules["time"].history
        other = {"function": "time.time", "name": "other", "max_saved": 3}
        region = waiter(plain, other, DUMBWAITER_DEFAULT_SAVED=5)
        assert [5, 3] == [one.history for one in region.schedules.values()]

    @pytest.mark.parametrize(("threaded", "threads"), [(True, 2), (False, 0)])
    def test_threaded(self, waiter, threaded, threads, monkeypatch):
        """DUMBWAITER_THREADED is what ``run_dumbwaiter`` goes by, unless it is told."""
        both = [{"function": "time.time", "name": one} for one in "ab"]
        assert 2 == (waiter(*both) and threads_of_project())
        waiter(*both, DUMBWAITER_THREADED=threaded)
        assert threads == threads_of_project()
        heard = []
        command = load_command_class(
            "holdover.contrib_django.dumbwaiter", "run_dumbwaiter"
        )
        monkeypatch.setattr(
            "holdover.contrib_django.management.bridge.carry_out",
            lambda _, words, __: heard.append(words) or 0,
        )
        for words in ([], ["--threads=7"]):
            parser = command.create_parser("manage.py", "run_dumbwaiter")
            command.handle(**vars(parser.parse_args(words)))
        assert [f"--threads={threads}"] == heard[0]
        assert ["--threads=7"] == heard[1]

    @pytest.mark.parametrize(
        ("given", "protocol"),
        [
            ({}, pickle.HIGHEST_PROTOCOL),
            ({"PICKLE_PROTOCOL": 2}, 2),
            ({"DUMBWAITER_PICKLE_PROTOCOL": 3, "PICKLE_PROTOCOL": 2}, 3),
        ],
    )
    def test_pickle_protocol(self, waiter, given, protocol):
        """Values are pickled by it, and read whatever they were pickled by."""
        run(waiter({"function": pair, "name": "pair", "args": [1]}, **given))
        payload = bytes(ScheduleRun.objects.get().payload)
        assert bytes([0x80, protocol]) == payload[:2]
        assert [1, 2] == get_value("pair")

    @pytest.mark.parametrize("kind", [str, bytes])
    @pytest.mark.parametrize("has_object", [True, False])
    def test_serializer(self, waiter, monkeypatch, kind, has_object):
        """A module with a ``serializer``, or with its two functions, makes texts."""

        def serialize(value):
            text = json.dumps(["mine", value])
            return text if kind is str else text.encode()

        def deserialize(made):
            assert isinstance(made, kind)
            return json.loads(made)[1]

        module = types.ModuleType("project_serializer")
        home = types.SimpleNamespace() if has_object else module
        home.serialize, home.deserialize = serialize, deserialize
        if has_object:
            module.serializer = home
        monkeypatch.setitem(sys.modules, "project_serializer", module)
        region = waiter(
            {"function": pair, "name": "pair", "args": [1]},
            {"function": object, "name": "odd"},
            DUMBWAITER_SERIALIZER="project_serializer",
        )
        run(region)
        assert b'["mine", [1, 2]]' in bytes(
            ScheduleRun.objects.get(name="pair").payload
        )
        assert [1, 2] == get_value("pair")
        assert "DUMBWAITER_SERIALIZER cannot" in region.history("odd")[0].error

    def test_region(self, waiter, tmp_path):
        """DUMBWAITER_REGION says whose backend tells the processes of each other."""
        regions = {
            "jobs": {"backend": "holdover.memory"},
            "files": {"backend": f"file://{tmp_path}"},
        }
        one = {"function": "time.time", "name": "time"}
        region = waiter(one, regions=regions, DUMBWAITER_REGION="files")
        assert "FileBackend" == type(region.backend).__name__

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"DUMBWAITER_SERIALIZER": "no_such"}, "No module named 'no_such'"),
            ({"DUMBWAITER_SERIALIZER": "time"}, "has no serialize()"),
            ({"DUMBWAITER_SERIALIZER": 5}, "is a module's dotted path, got 5"),
            ({"DUMBWAITER_SERIALIZER": ""}, "is a module's dotted path, got ''"),
            ({"DUMBWAITER_SERIALIZER": ".x"}, "is a module's dotted path, got '.x'"),
            ({"PICKLE_PROTOCOL": 99}, "a number from 0 to"),
            ({"DUMBWAITER_PICKLE_PROTOCOL": 99}, "DUMBWAITER_PICKLE_PROTOCOL is a num"),
            ({"DUMBWAITER_DEFAULT_FREQUENCY": -1}, "every must be"),
            ({"DUMBWAITER_DEFAULT_SAVED": "x"}, "history"),
            ({"DUMBWAITER_REGION": "nothing"}, "DUMBWAITER_REGION: .*nothing"),
            ({"DUMBWAITER_REGION": 0}, "DUMBWAITER_REGION is the name of a .*got 0"),
            ({"regions": {"a": {}, "b": {}, "defaults": {
                "backend": "holdover.memory"}}}, "set 'region' to one of .*a, b"),
            ({"regions": {"dumbwaiter": {"backend": "holdover.memory"}}}, "otherwise"),
        ],
    )  # fmt: skip
    def test_what_is_wrong(self, waiter, given, said):
        """It is told when the project starts."""
        with pytest.raises(ImproperlyConfigured, match=said.replace("()", r"\(\)")):
            waiter({"function": "time.time", "name": "time"}, **given)

    @pytest.mark.parametrize("top", ["1 / 0", "def (", "raise SystemExit(3)"])
    def test_a_serializer_that_fails(self, waiter, tmp_path, monkeypatch, top):
        """Whatever stands at the top of its module, the setting is named."""
        name = f"failing_{abs(hash(top))}"
        (tmp_path / f"{name}.py").write_text(top)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ImproperlyConfigured, match=f"SERIALIZER: .*{name}.* fail"):
            waiter({"function": "time.time"}, DUMBWAITER_SERIALIZER=name)

    def test_an_entry_has_no_region_of_its_own(self, waiter):
        """It would be run by others, and get_value() would not know it."""
        one = {"function": "time.time", "name": "time", "region": "jobs"}
        with pytest.raises(ImproperlyConfigured, match="got 'jobs'; DUMBWAITER_REGION"):
            waiter(one)

    @pytest.mark.parametrize(
        "given", ["time.time", {"function": "time.time"}, 5, [5], [{"name": "x"}]]
    )
    def test_a_wrong_list(self, waiter, settings, given):
        """So are its entries."""
        with pytest.raises(ImproperlyConfigured, match="DUMBWAITER_FUNCTION_LIST"):
            waiter(DUMBWAITER_FUNCTION_LIST=given)

    def test_threaded_is_a_truth_value(self, waiter):
        """Anything else is refused."""
        waiter(DUMBWAITER_THREADED="no")
        with pytest.raises(ImproperlyConfigured, match="is True or False, got 'no'"):
            threads_of_project()
