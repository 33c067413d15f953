"""What a publishing connection takes from the application, and what it does not."""

import socket
import threading
import time

import pytest
from celery import Celery, signals
from kombu.exceptions import OperationalError

from holdover import CeleryRunner
from holdover.errors import ConfigurationError, InvalidLifetime, MissingDependency
from holdover.regions.refresh.base import TASK_NAME, Outcome
from holdover.regions.refresh.celery_publishing import bounded_connection

MESSAGE = {"version": 1}


@pytest.fixture
def new_app():
    """Make a Celery app on a broker."""

    def make(broker, **settings):
        app = Celery("mine", broker=broker, set_as_current=False)
        app.conf.update(**settings)
        return app

    return make


@pytest.fixture
def mute():
    """A port where connections are taken, and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestConnection:
    def test_redis(self, new_app):
        """Redis: our timeouts, one try, and the app's other options."""
        app = new_app(
            "redis://user:word@example.org:7000/3",
            broker_transport_options={
                "socket_timeout": 60,
                "retry_on_timeout": True,
                "connect_retries_timeout": 100,
                "global_keyprefix": "mine-",
                "visibility_timeout": 7,
            },
            broker_connection_timeout=30,
        )
        connection = bounded_connection(app, 0.3)
        assert connection.transport_options == {
            "socket_timeout": 0.3,
            "socket_connect_timeout": 0.3,
            "retry_on_timeout": False,
            "max_retries": 0,
            "global_keyprefix": "mine-",
            "visibility_timeout": 7,
        }
        assert connection.connect_timeout == 0.3
        assert (connection.hostname, connection.port) == ("example.org", 7000)
        assert (connection.userid, connection.password) == ("user", "word")
        assert app.conf.broker_transport_options["socket_timeout"] == 60

    def test_tls(self, new_app):
        """TLS: the app's certificates."""
        tls = {"ssl_ca_certs": "/ca.pem", "ssl_cert_reqs": "required"}
        app = new_app("rediss://example.org:7000/0", broker_use_ssl=tls)
        assert bounded_connection(app, 0.3).ssl == tls

    def test_sentinel(self, new_app):
        """Sentinel: the master's name, the sentinels' password, and our timeouts."""
        app = new_app(
            "sentinel://one:26379;sentinel://two:26379",
            broker_transport_options={
                "master_name": "mymaster",
                "sentinel_kwargs": {"password": "word", "socket_timeout": 60},
            },
        )
        connection = bounded_connection(app, 0.3)
        assert connection.alt == ["sentinel://one:26379", "sentinel://two:26379"]
        options = connection.transport_options
        assert options["master_name"] == "mymaster"
        assert options["sentinel_kwargs"] == {
            "password": "word",
            "socket_timeout": 0.3,
            "socket_connect_timeout": 0.3,
        }

    def test_amqp(self, new_app):
        """RabbitMQ: our timeouts, and every message confirmed."""
        app = new_app(
            "amqp://example.org//",
            broker_transport_options={"client_properties": {"name": "mine"}},
        )
        assert bounded_connection(app, 0.3).transport_options == {
            "client_properties": {"name": "mine"},
            "confirm_publish": True,
            "read_timeout": 0.3,
            "write_timeout": 0.3,
            "max_retries": 0,
        }

    def test_other_brokers(self, new_app):
        """A driver that we do not know gets the app's options and no others."""
        app = new_app("memory://", broker_transport_options={"polling_interval": 5})
        connection = bounded_connection(app, 0.3)
        assert connection.transport_options == {"polling_interval": 5}


class TestConfiguration:
    def test_a_missing_library(self, new_app):
        """A broker without its library is an error at start-up, with its name."""
        with pytest.raises(MissingDependency, match="boto"):
            CeleryRunner(new_app("sqs://"))

    def test_an_unknown_broker(self, new_app):
        """So is a broker that Celery does not know."""
        with pytest.raises(ConfigurationError, match="reddis"):
            CeleryRunner(new_app("reddis://localhost"))

    @pytest.mark.parametrize("timeout", [0, -1, "soon", float("nan"), None])
    def test_a_wrong_timeout(self, new_app, timeout):
        """publish_timeout is a number of seconds."""
        with pytest.raises(InvalidLifetime, match="publish_timeout"):
            CeleryRunner(new_app("memory://"), publish_timeout=timeout)

    @pytest.mark.parametrize("name", ["producer", "connection", "retry", "task_id"])
    def test_options_that_are_ours(self, new_app, name):
        """Options that would undo the bounds are refused by name."""
        with pytest.raises(ConfigurationError, match=name):
            CeleryRunner(new_app("memory://"), task_options={name: 1})

    def test_a_serializer_that_the_app_accepts(self, new_app):
        """Orders are JSON, unless the app's workers would refuse that."""
        app = new_app("memory://")
        CeleryRunner(app)
        assert app.tasks[TASK_NAME].serializer == "json"
        picky = new_app(
            "memory://", accept_content=["pickle"], task_serializer="pickle"
        )
        CeleryRunner(picky)
        assert picky.tasks[TASK_NAME].serializer == "pickle"

    def test_the_app_keeps_its_settings(self, new_app):
        """The app's own connections and retries stay as they were."""
        app = new_app("redis://127.0.0.1:1/0")
        runner = CeleryRunner(app)
        with pytest.raises(Exception, match="refused"):
            runner.publish(MESSAGE)
        assert app.conf.broker_transport_options == {}
        assert app.conf.task_publish_retry is True
        assert app.connection_for_write().connect_timeout == 4


class TestTrouble:
    @pytest.mark.parametrize("scheme", ["redis", "amqp"])
    def test_a_mute_broker(self, new_app, mute, scheme):
        """A broker that never answers costs publish_timeout, once."""
        runner = CeleryRunner(
            new_app(f"{scheme}://127.0.0.1:{mute}"), publish_timeout=2.0
        )
        begun = time.monotonic()
        with pytest.raises(OperationalError, match=r"[Tt]imed? ?out"):
            runner.publish(MESSAGE)
        assert 1.5 < time.monotonic() - begun < 3.9

    @pytest.mark.parametrize("scheme", ["redis", "amqp"])
    def test_a_refusing_broker(self, new_app, scheme):
        """A broker that refuses is known to at once."""
        url = f"{scheme}://127.0.0.1:1"
        runner = CeleryRunner(new_app(url), publish_timeout=5.0)
        begun = time.monotonic()
        with pytest.raises(OperationalError, match="refused"):
            runner.publish(MESSAGE)
        assert time.monotonic() - begun < 4.0

    def test_threads_share_a_connection(self, new_app, redis_server):
        """Several publishers' threads use one connection, one after another."""
        runner = CeleryRunner(new_app(redis_server.url))
        threads = [
            threading.Thread(target=runner.publish, args=(MESSAGE,)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert redis_server.ask("LLEN", "celery") == ":8"
        runner.close()

    def test_another_broker_of_the_list(self, new_app, redis_server):
        """Of several brokers the next one is tried after a failure."""
        app = new_app(f"redis://127.0.0.1:1/0;{redis_server.url}")
        runner = CeleryRunner(app)
        with pytest.raises(OperationalError, match="refused"):
            runner.publish(MESSAGE)
        runner.publish(MESSAGE)
        assert redis_server.ask("LLEN", "celery") == ":1"

    def test_signals(self, new_app, redis_server):
        """Celery's signals are sent, and a receiver may change the headers."""
        seen = []

        def receive(sender, headers, **_):
            seen.append((sender, headers["id"]))

        signals.before_task_publish.connect(receive)
        try:
            CeleryRunner(new_app(redis_server.url)).publish(MESSAGE)
        finally:
            signals.before_task_publish.disconnect(receive)
        [(sender, _)] = seen
        assert sender == TASK_NAME

    def test_a_connection_cut_while_idle(self, new_app, own_redis):
        """A broker that was restarted while nobody looked gets the next message."""
        runner = CeleryRunner(new_app(own_redis.url))
        runner.publish(MESSAGE)
        own_redis.kill()
        own_redis.start()
        runner.publish(MESSAGE)
        assert own_redis.ask("LLEN", "celery") == ":1"


class TestTask:
    def test_two_runners_of_one_app(self, new_app):
        """The task of an app serves all its runners, whichever came first."""
        app, heard = new_app("memory://"), []
        CeleryRunner(app)
        second = CeleryRunner(app, on_outcome=heard.append)
        second.bind(lambda message, task_id: Outcome(done=True, reason="refreshed"))
        app.tasks[TASK_NAME].apply((MESSAGE,))
        [report] = heard
        assert report.done
