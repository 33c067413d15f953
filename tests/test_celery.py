"""Refreshes as Celery messages: carried out once, by the right code, or not at all."""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery
from standins import UnservedQueue
from waiting import wait_until

from holdover import CeleryRunner, LeaseTerms, events
from holdover.errors import InvalidOrder
from holdover.regions.refresh.base import TASK_NAME, RefreshOrder
from holdover.regions.worker import CATALOGUE, carry_out

TERMS = LeaseTerms(ttl=1.0, queue_ttl=2.0)


class Reports(list):
    """Collects reports, and waits for them."""

    def __init__(self):
        super().__init__()
        self._changed = threading.Condition()

    def __call__(self, report):
        with self._changed:
            self.append(report)
            self._changed.notify_all()

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self) >= count, 30), self
        return list(self)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The module with its region, fresh, on files of this test."""
    monkeypatch.setenv("SHOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SHOP_RUNS", str(tmp_path / "runs"))
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    import shop

    return shop


@pytest.fixture
def serve(shop, tmp_path):
    """Give the shop's region a runner."""
    runners = []

    def configure(runner, **settings):
        runners.append(runner)
        shop.region.configure(
            "holdover.file",
            60,
            {"path": tmp_path / "cache"},
            lease=LeaseTerms(ttl=1.0, queue_ttl=60.0),
            runner=runner,
            replace_existing_backend=True,
            **settings,
        )
        return shop

    yield configure
    for runner in runners:
        getattr(runner, "close", int)()


@pytest.fixture
def ordered(serve):
    """A stale value, for whose refresh a message has been published but not taken."""
    recorder = UnservedQueue()
    shop = serve(recorder)
    shop.price(7)
    shop.region.invalidate(hard=False)
    assert shop.price(7)[0] == 7
    assert recorder.arrived.wait(20)
    return shop, recorder


def runs(tmp_path):
    """The pids of the processes in which the creator ran, in order."""
    return [int(line) for line in (tmp_path / "runs").read_text().split()]


class TestEmbedded:
    def test_a_worker_thread_refreshes(self, serve, tmp_path):
        """With no app, a stale value is refreshed in this process, by a Celery task."""
        reports = Reports()
        shop = serve(CeleryRunner(on_outcome=reports))
        old = shop.price(7, currency="CHF")
        shop.region.invalidate(hard=False)
        assert shop.price(7, currency="CHF") == old
        [report] = reports.wait_for(1)
        assert (report.region, report.done, report.reason) == (
            "shop",
            True,
            "refreshed",
        )
        assert report.task_id
        assert report.key == shop.price.key_for(7, currency="CHF")
        assert len(runs(tmp_path)) == 2
        assert shop.price.get(7, currency="CHF") == old

    def test_a_worker_process_refreshes(self, serve, tmp_path):
        """worker="process": the creator runs in a process of its own."""
        reports = Reports()
        shop = serve(
            CeleryRunner(worker="process", include=["shop"], on_outcome=reports)
        )
        assert shop.price(7)[2] == os.getpid()
        shop.region.invalidate(hard=False)
        shop.price(7)
        [report] = reports.wait_for(1)
        assert report.done, report
        made_by = shop.price.get(7)[2]
        assert made_by != os.getpid()
        assert runs(tmp_path) == [os.getpid(), made_by]

    def test_a_worker_process_beside_many_open_files(self, serve, many_open_files):
        """A pipe of a high number is written to like any other."""
        reports = Reports()
        shop = serve(
            CeleryRunner(worker="process", include=["shop"], on_outcome=reports)
        )
        shop.price(7)
        shop.region.invalidate(hard=False)
        shop.price(7)
        [report] = reports.wait_for(1)
        assert report.done, report
        assert shop.price.get(7)[2] != os.getpid()

    def test_a_killed_worker_process_is_replaced(self, serve, tmp_path):
        """After SIGKILL of the worker the old value is served and the next one made."""
        reports = Reports()
        shop = serve(
            CeleryRunner(worker="process", include=["shop"], on_outcome=reports)
        )
        shop.price(7, cost=0.3)
        shop.region.invalidate(hard=False)
        shop.price(7, cost=0.3)
        wait_until(lambda: len(runs(tmp_path)) == 2)
        killed = runs(tmp_path)[1]
        os.kill(killed, signal.SIGKILL)
        ours = (
            os.getpid()
        )  # made the old value, which is served until the next is there
        made_by = wait_until(lambda: (by := shop.price(7, cost=0.3)[2]) != ours and by)
        [report] = reports.wait_for(1)
        assert report.done
        assert [ours, killed, made_by] == runs(tmp_path)
        assert made_by != killed

    def test_a_worker_that_cannot_start_is_passed_over(
        self, serve, tmp_path, heard, capfd
    ):
        """If the worker's modules cannot be imported, a local thread refreshes."""
        shop = serve(CeleryRunner(worker="process", include=["no_such_module"]))
        told = heard(shop.region)
        shop.price(7)
        shop.region.invalidate(hard=False)
        shop.price(7)
        wait_until(lambda: len(runs(tmp_path)) >= 2)
        assert runs(tmp_path) == [os.getpid(), os.getpid()]
        assert "no_such_module" in capfd.readouterr().err
        assert not any(isinstance(event, events.OrderFailed) for event in told)

    def test_the_current_app_is_left_alone(self, serve):
        """The embedded app does not become Celery's current one."""
        from celery import current_app

        before = current_app._get_current_object()
        reports = Reports()
        shop = serve(CeleryRunner(on_outcome=reports))
        shop.price(7)
        shop.region.invalidate(hard=False)
        shop.price(7)
        reports.wait_for(1)
        assert current_app._get_current_object() is before

    def test_arguments_that_json_would_change_stay_here(self, serve, tmp_path, heard):
        """A tuple would come back as a list: such a call is refreshed by a thread."""
        reports = Reports()
        shop = serve(CeleryRunner(on_outcome=reports))
        told = heard(shop.region)
        shop.price((7, 8))
        shop.region.invalidate(hard=False)
        shop.price((7, 8))
        [refreshed] = wait_until(
            lambda: [e for e in told if isinstance(e, events.Refreshed)]
        )
        assert refreshed.task_id is None
        assert reports == []

    @pytest.mark.parametrize("worker", ["thread", "process"])
    def test_a_creator_that_quits_ends_no_worker(self, serve, worker):
        """After a creator's ``sys.exit()`` the worker carries out the next order."""
        reports = Reports()
        include = ["shop"] if worker == "process" else []
        shop = serve(CeleryRunner(worker=worker, include=include, on_outcome=reports))
        shop.behave("quit")
        shop.price(7)
        shop.region.invalidate(hard=False)
        assert shop.behave("quit") == "quit"
        assert not reports.wait_for(1)[0].done
        shop.price(7)
        assert reports.wait_for(2)[1].done

    def test_a_creator_that_reads_takes_no_orders(self, serve):
        """A program that a creator runs finds nothing on its standard input."""
        reports = Reports()
        shop = serve(
            CeleryRunner(worker="process", include=["shop"], on_outcome=reports)
        )
        shop.region.set("x", 1)
        shop.behave.set("old", "read")
        shop.price(7)
        shop.region.invalidate(hard=False)
        assert shop.behave("read") == "old"
        shop.price(7)
        assert [report.done for report in reports.wait_for(2)] == [True, True]
        assert shop.behave.get("read") == ""


class TestOwnApp:
    def test_an_apps_worker_carries_out(self, serve, tmp_path):
        """CeleryRunner(app): the task is the app's, and its worker refreshes."""
        app = Celery("own", broker="memory://", set_as_current=False)
        app.conf.update(
            task_default_queue="own-queue",
            broker_transport_options={"polling_interval": 0.01},
            worker_enable_remote_control=False,
            broker_connection_retry_on_startup=True,
        )
        reports = Reports()
        shop = serve(CeleryRunner(app, on_outcome=reports))
        assert TASK_NAME in app.tasks
        worker = app.WorkController(
            pool="solo",
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )

        def work():
            app.set_current()
            worker.start()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        shop.price(7)
        shop.region.invalidate(hard=False)
        shop.price(7)
        [report] = reports.wait_for(1)
        worker.stop()
        thread.join(20)
        assert report.done
        assert len(runs(tmp_path)) == 2


class TestMessages:
    def test_a_message_is_carried_out_once(self, ordered, tmp_path):
        """Of two deliveries the second finds another token and drops out."""
        _, recorder = ordered
        [message] = recorder.messages
        first, second = carry_out(message, "1"), carry_out(message, "2")
        assert (first.done, second.done) == (True, False)
        assert second.reason == "overtaken"
        assert len(runs(tmp_path)) == 2

    def test_two_workers_at_once(self, ordered, tmp_path):
        """Two workers with the same message run the creator once."""
        _, recorder = ordered
        [message] = recorder.messages
        outcomes = []
        threads = [
            threading.Thread(target=lambda: outcomes.append(carry_out(message).done))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [False, True]
        assert len(runs(tmp_path)) == 2

    def test_a_message_after_a_newer_value(self, ordered, tmp_path):
        """What was set since it was ordered is not touched."""
        shop, recorder = ordered
        shop.price.set("newer", 7)
        assert not carry_out(recorder.messages[0]).done
        assert shop.price(7) == "newer"
        assert len(runs(tmp_path)) == 1

    def test_a_message_after_an_invalidation(self, ordered, tmp_path):
        """A message does not bring back what was invalidated since."""
        shop, recorder = ordered
        shop.price.invalidate(7)
        assert not carry_out(recorder.messages[0]).done
        assert len(runs(tmp_path)) == 1

    def test_a_late_message(self, ordered, tmp_path):
        """A message past its time changes nothing."""
        _, recorder = ordered
        late = {**recorder.messages[0], "not_after": time.time() - 1}
        outcome = carry_out(late)
        assert not outcome.done
        assert "too late" in outcome.reason
        assert len(runs(tmp_path)) == 1

    @pytest.mark.parametrize(
        "function", ["os:system", "shop:no_such", "builtins:eval", ""]
    )
    def test_an_unregistered_function(self, ordered, tmp_path, function):
        """A message cannot name code that was not registered."""
        _, recorder = ordered
        outcome = carry_out({**recorder.messages[0], "function": function})
        assert not outcome.done
        assert "no function" in outcome.reason
        assert len(runs(tmp_path)) == 1

    def test_an_unknown_region(self, ordered):
        """A message for a region that is not known here is dropped."""
        _, recorder = ordered
        assert not carry_out({**recorder.messages[0], "region": "other"}).done

    @pytest.mark.parametrize(
        "change",
        [
            {"args": [8]},
            {"key": "shop:price(8,'EUR',0.0)"},
            {"args": [7, 8, 9]},
            {"kwargs": {"currency": "EUR", "cost": 0.0, "evil": 1}},
        ],
    )
    def test_arguments_must_make_the_key(self, ordered, tmp_path, change):
        """A message cannot store one call's value under another one's key."""
        _, recorder = ordered
        assert not carry_out({**recorder.messages[0], **change}).done
        assert len(runs(tmp_path)) == 1

    def test_a_failing_creator_frees_the_lease(self, ordered, heard, monkeypatch):
        """If the creator fails in the worker, others may try at once."""
        shop, recorder = ordered
        told = heard(shop.region)
        monkeypatch.setattr(shop, "runs", "/no/such/directory/runs")
        outcome = carry_out(recorder.messages[0])
        assert not outcome.done
        assert "creator failed" in outcome.reason
        assert any(isinstance(event, events.CreatorFailed) for event in told)
        assert not shop.region.key_is_locked(shop.price.key_for(7))

    def test_the_worker_lives_on(self, serve):
        """Messages of all kinds of nonsense do not end the worker."""
        reports = Reports()
        runner = CeleryRunner(on_outcome=reports)
        shop = serve(runner)
        runner.serve()
        nonsense = [
            {},
            {"version": 1},
            {"version": 2, "region": "shop"},
            {"args": None},
        ]
        for message in nonsense:
            runner.publish(message)
        reports.wait_for(len(nonsense))
        assert not any(report.done for report in reports)
        shop.price(7)
        shop.region.invalidate(hard=False)
        shop.price(7)
        assert reports.wait_for(len(nonsense) + 1)[-1].done


class TestOrders:
    def order(self):
        return RefreshOrder(
            region="r", function="m:f", args=[1, "x"], kwargs={"k": [None]}, key="k",
            token="t", clock=5, not_after=1.5,
        )  # fmt: skip

    def test_an_order_survives_json(self):
        """An order is the same after a trip through JSON."""
        text = json.dumps(self.order().to_message())
        assert RefreshOrder.from_message(json.loads(text)) == self.order()

    @pytest.mark.parametrize("message", [None, 5, "x", [], b"x", {"version": 99}])
    def test_what_is_no_order(self, message):
        """Anything else is refused, with what was found."""
        with pytest.raises(InvalidOrder):
            RefreshOrder.from_message(message)

    @pytest.mark.parametrize(
        ("part", "wrong"),
        [
            ("region", 5),
            ("region", None),
            ("args", {}),
            ("args", (1,)),
            ("args", [object()]),
            ("kwargs", []),
            ("kwargs", {5: 5}),
            ("token", "x" * 100_000),
            ("clock", 1.5),
            ("clock", True),
            ("not_after", "soon"),
        ],
    )
    def test_wrong_parts(self, part, wrong):
        """Each part has a type, and a size."""
        with pytest.raises(InvalidOrder, match=part):
            RefreshOrder.from_message({**self.order().to_message(), part: wrong})

    def test_an_order_carries_no_code(self):
        """An order is made of plain values."""
        assert replace(self.order(), token="u").to_message()["function"] == "m:f"
        assert CATALOGUE is not None
