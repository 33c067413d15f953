"""The servers that dogpile.cache's own tests look for; private, stopped by pid."""

import contextlib
import subprocess
from pathlib import Path

from servers import MemcachedServer, RedisServer, free_port, program, wait_until_open


class Sentinel:
    """A Redis Sentinel that watches one server.

    Args:
        folder: Where it keeps its configuration.
        watched: The port of the server.
        name: What it calls that server.
    """

    def __init__(self, folder, watched, name):
        self.port = free_port()
        self._config = Path(folder) / "sentinel.conf"
        self._config.write_text(
            f"port {self.port}\nbind 127.0.0.1\nprotected-mode no\n"
            f"sentinel monitor {name} 127.0.0.1 {watched} 1\n"
        )
        self._process = None

    def __enter__(self):
        command = [program("redis-server", "redis-server"), str(self._config)]
        self._process = subprocess.Popen(
            [*command, "--sentinel"], stdout=subprocess.DEVNULL
        )
        wait_until_open(self._process, self.port)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def servers_for_the_suite(folder, suite):
    """Start what the *suite* tests against, and give the environment that says where.

    One server for each of its files, so that they can run at the same time. Valkey's
    clients are tested on Redis servers, which speak their protocol.
    """
    tls = suite / "tests" / "tls"
    keys = f"ssl_chain_cert={tls}/server_chain.pem,ssl_key={tls}/server.key"
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        ports = {
            "MEMCACHED": start(MemcachedServer()),
            "TLS_MEMCACHED": start(MemcachedServer("-Z", "-o", keys)),
        }
        for name in ("REDIS", "VALKEY"):
            ports[name] = start(RedisServer(folder))
            watched = start(RedisServer(folder)).port
            path = Path(folder) / name.lower()
            path.mkdir()
            ports[f"{name}_SENTINEL"] = start(Sentinel(path, watched, "pifpaf"))
        yield {f"DOGPILE_{name}_PORT": str(at.port) for name, at in ports.items()}
