"""What is particular to TLS, to users with few rights, and to Valkey."""

import time

import pytest
import redis
from redis_family import Certificate, TLSServer, rights_in_docs
from servers import free_port

from holdover import make_region
from holdover.errors import BackendError, ConfigurationError
from holdover.regions.backends.redis import RedisBackend
from holdover.testing.contract_leases import REGION, sealed

TIMEOUT = 0.25


def new_region(name, arguments):
    """Configure a region by a backend's name."""
    region = make_region("shop")
    return region.configure(name, 60, arguments, unsigned_pickle=True)


# -- TLS -----------------------------------------------------------------------


def test_ssl_as_an_argument(tls_server, certificate):
    """Host, port and ``ssl`` say the same as a URL."""
    trust = {"ssl_ca_certs": certificate.path}
    arguments = {"host": "127.0.0.1", "port": tls_server.port, "ssl": True}
    backend = RedisBackend({**arguments, "connection_kwargs": trust})
    backend.write("k", sealed(1), ttl=None)
    assert backend.read("k", REGION)[0] == sealed(1)


def test_a_stranger_s_certificate_is_refused(tls_server, heard):
    """Who cannot prove to be the server gets no command; the event says why."""
    with pytest.raises(BackendError, match=r"(?i)certificate.verify.failed"):
        RedisBackend({"url": tls_server.url}).read("k", REGION)
    region = new_region("holdover.redis", {"url": tls_server.url})
    events = heard(region)
    assert region.get_or_create("k", lambda: "made") == "made"
    assert any("certificate verify failed" in str(event) for event in events)
    trusting = RedisBackend({"url": f"{tls_server.url}?ssl_cert_reqs=none"})
    assert trusting.read("k", REGION)[0] is None


def test_another_host_s_certificate_is_refused(tmp_path):
    """A certificate that is sound proves nothing about another host."""
    certificate = Certificate(tmp_path, "DNS:elsewhere.example.org")
    trust = {"ssl_ca_certs": certificate.path}
    with TLSServer(tmp_path, certificate) as server:
        told = RedisBackend({"url": server.url, "connection_kwargs": trust})
        with pytest.raises(BackendError, match=r"(?i)not valid for '127\.0\.0\.1'"):
            told.read("k", REGION)
        url = f"{server.url}?ssl_check_hostname=false"
        anyhow = RedisBackend({"url": url, "connection_kwargs": trust})
        assert anyhow.read("k", REGION)[0] is None


@pytest.mark.parametrize(
    ("arguments", "checked"),
    [
        ({"url": "rediss://h"}, True),
        ({"url": "valkeys://h"}, True),
        ({"ssl": True}, True),
        ({"url": "rediss://h?ssl_check_hostname=false"}, False),
        ({"url": "rediss://h?ssl_cert_reqs=none"}, None),
        ({"ssl": True, "connection_kwargs": {"ssl_cert_reqs": None}}, None),
        ({"url": "redis://h"}, None),
        ({"ssl": False}, None),
    ],
)
def test_hosts_are_checked_whatever_redis_py_does(arguments, checked):
    """Older ones take any host's certificate unless they are told not to."""
    bounded = RedisBackend(arguments)
    kwargs = bounded.reader_client.connection_pool.connection_kwargs
    told = kwargs.get("ssl_check_hostname")
    asked = bounded.connection_kwargs.get("ssl_check_hostname")
    assert checked is (told if asked else asked)


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
@pytest.mark.usefixtures("default_timeouts")
def test_the_other_kind_of_server(scheme, redis_server, tls_server):
    """TLS where there is none, and none where there is TLS: an error soon."""
    server = tls_server if scheme == "redis" else redis_server
    backend = RedisBackend({"url": f"{scheme}://127.0.0.1:{server.port}/0"})
    asked = time.monotonic()
    with pytest.raises(BackendError, match="asking Redis"):
        backend.read("k", REGION)
    assert time.monotonic() - asked < 2 * TIMEOUT + 3.0


@pytest.mark.usefixtures("default_timeouts")
def test_a_frozen_server_behind_tls(tmp_path, certificate):
    """The handshake has a bound, too."""
    trust = {"ssl_ca_certs": certificate.path}
    with TLSServer(tmp_path, certificate) as server:
        backend = RedisBackend({"url": server.url, "connection_kwargs": trust})
        server.freeze()
        asked = time.monotonic()
        with pytest.raises(BackendError, match=r"(?i)timed? ?out"):
            backend.read("k", REGION)
        assert time.monotonic() - asked < 2 * TIMEOUT + 3.0


def test_a_ca_that_is_not_there(tmp_path):
    """A file that cannot be read is told when the region is configured, or soon."""
    trust = {"ssl_ca_certs": str(tmp_path / "missing.pem")}
    backend = RedisBackend({"url": "rediss://127.0.0.1", "connection_kwargs": trust})
    with pytest.raises(BackendError):
        backend.read("k", REGION)


# -- rights --------------------------------------------------------------------


def test_a_user_with_one_region_s_keys(redis_server):
    """The rights that the docs list are enough, and reach no other region's keys."""
    keys = ["~shop:*", "~holdover:lease:shop:*"]
    keys += ["~holdover:clock:shop", "~holdover:marks:shop"]
    rights = ["on", ">secret", *keys, *rights_in_docs()]
    redis_server.ask("ACL", "SETUSER", "shop", "reset", *rights)
    url = redis_server.url.replace("//", "//shop:secret@")
    region = new_region("holdover.redis", {"url": url})
    assert region.get_or_create("k", lambda: 1) == 1
    assert region.get("k", strict=True) == 1
    large = "x" * 400_000
    for _ in range(2):  # by a step that is tried first, or not any more
        assert region.get_or_create("large", lambda: large) == large
        assert region.get("large", strict=True) == large
        region.delete("large", strict=True)
    region.set("k", 2, strict=True)
    assert region.get_or_create("tagged", lambda: 3) == 3
    region.invalidate(tags=["t"], strict=True)
    region.invalidate(strict=True)
    assert region.get_or_create("k", lambda: 4) == 4
    assert not region.delete("k").pending
    with pytest.raises(BackendError, match=r"(?i)permission"):
        region.backend.read("shop:k", "another region")
    with pytest.raises(BackendError, match=r"(?i)permission"):
        region.backend.read("another:k", "shop")


# -- Valkey --------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["valkey", "redis"])
def test_valkey_by_its_urls(valkey_server, scheme):
    """Valkey's own scheme and Redis's name the same server and the same database."""
    url = f"{scheme}://127.0.0.1:{valkey_server.port}/2"
    region = make_region("shop").configure(url, unsigned_pickle=True)
    region.set("k", "value", strict=True)
    with redis.Redis(port=valkey_server.port, db=2) as client:
        assert client.dbsize() == 2  # the value and the clock
        assert "valkey_version" in client.info("server")


def test_valkey_by_its_name(valkey_server):
    """The name takes the same arguments as Redis's."""
    arguments = {"host": "127.0.0.1", "port": valkey_server.port}
    region = new_region("holdover.valkey", arguments)
    assert region.get_or_create("k", lambda: "made") == "made"
    assert region.get("k", strict=True) == "made"


def test_a_valkey_that_is_not_there():
    """Nor does its absence reach a caller."""
    region = new_region("holdover.valkey", {"url": f"valkey://127.0.0.1:{free_port()}"})
    assert region.get_or_create("k", lambda: "made") == "made"


def test_schemes_that_nobody_speaks():
    """The error lists the schemes, and shows no password."""
    with pytest.raises(ConfigurationError, match="valkeys://") as caught:
        RedisBackend({"url": "vlakey://me:secret@host"})
    assert "secret" not in str(caught.value)
