"""Private servers for tests: free ports, folders of their own, stopped by pid."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import redis

# What talks to memcached; pylibmc has no wheel for later Pythons.
MEMCACHED_CLIENTS = ["pymemcache"]
if sys.version_info < (3, 12):
    MEMCACHED_CLIENTS.append("pylibmc")

_PATIENCE = 30.0
_TRIES = 5  # since another program may take a port that was free just now
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def program(name, package):
    """Find a server's program; that it is missing is an error, never a skipped test."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise RuntimeError(f"{name} is not installed: apt-get install {package}")
    return found


def free_port():
    """Give a port that nobody listens on right now, and of those of this worker's.

    So that of two that test at the same time none takes what the other just found.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port // 2 % workers == own:  # Linux gives odd ones
            return port


class HasEnded(RuntimeError):
    """A server that was just started is over: somebody may have its port."""


def start_somewhere(server):
    """Start a server, elsewhere if another program has taken its port meanwhile."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(HasEnded):
            return server.start()
        server.take_port()
    return server.start()


class RedisServer:
    """A Redis server that keeps nothing on disk.

    Args:
        folder: Its working directory.
        *options: More of its command line, such as ``"--maxmemory", "3mb"``.
    """

    program = "redis-server"
    package = "redis-server"
    scheme = "redis"

    def __init__(self, folder, *options):
        self._folder = Path(folder)
        self._options = options
        self._process = None
        self.take_port()

    def take_port(self):
        """Choose where to listen."""
        self.port = free_port()
        self.url = f"{self.scheme}://127.0.0.1:{self.port}/0"

    def __enter__(self):
        start_somewhere(self)
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        """Its process, for those who send signals."""
        return self._process.pid

    @property
    def arguments(self):
        """What a backend has to be told."""
        return {"url": self.url}

    @property
    def patient_url(self):
        """Its URL for other processes, which on a busy machine must be patient."""
        return f"{self.url}?socket_timeout=5&socket_connect_timeout=5"

    def start(self):
        """Start it, with nothing in it, and wait until it answers."""
        command = [program(self.program, self.package), *self._listening()]
        command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--dir", str(self._folder), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._wait_until_ready()

    def _listening(self):
        return ["--port", str(self.port)]

    def stop(self):
        """Kill it, frozen or not."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    kill = stop

    def freeze(self):
        """Let it hang: connections stay, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # it is not at once

    def thaw(self):
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *words):
        """Send one command by a connection of its own; give the first line back."""
        request = [f"*{len(words)}"]
        for word in map(str, words):
            request += [f"${len(word)}", word]
        with self._connected() as link:
            link.sendall("\r\n".join([*request, ""]).encode())
            return link.recv(65_536).split(b"\r\n")[0].decode()

    def client(self):
        """Give a connection of redis-py's own."""
        return redis.Redis(port=self.port, socket_timeout=20)

    def _connected(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def _wait_until_ready(self):
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise HasEnded(f"{self.program} ended with {self._process.poll()}")
            with contextlib.suppress(OSError):
                if self.ask("PING") == "+PONG":
                    return
            time.sleep(0.01)
        raise RuntimeError(f"{self.program} did not start")


class MemcachedServer:
    """A memcached server.

    Args:
        *options: More of its command line, such as ``"-I", "8m"``.
    """

    def __init__(self, *options):
        self._options = options
        self._process = None
        self.take_port()

    def take_port(self):
        """Choose where to listen."""
        self.port = free_port()
        self.url = f"127.0.0.1:{self.port}"

    def __enter__(self):
        start_somewhere(self)
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        """Its process, for those who send signals."""
        return self._process.pid

    def start(self):
        """Start it, with nothing in it, and wait until it answers."""
        command = [program("memcached", "memcached"), *self._listening()]
        command += ["-U", "0", *self._options]
        command += ["-u", "nobody"] if os.geteuid() == 0 else []
        self._process = subprocess.Popen(command)
        wait_until_open(self._process, self.port)

    def _listening(self):
        return ["-l", "127.0.0.1", "-p", str(self.port)]

    def stop(self):
        """Kill it, frozen or not."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    kill = stop

    def freeze(self):
        """Let it hang: connections stay, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # it is not at once

    def thaw(self):
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def ask(self, line, end=b"\r\n"):
        """Send one command by a connection of its own; give the lines of the answer.

        Args:
            line: The command.
            end: How the answer ends.
        """
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as link:
            link.sendall(line.encode() + b"\r\n")
            while not answer.endswith(end):
                more = link.recv(65_536)
                if not more:
                    raise RuntimeError(f"memcached hung up after {answer!r:.200}")
                answer += more
        return answer.decode(errors="replace").splitlines()


def wait_until_open(process, port):
    """Wait until a server that was just started takes connections."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise HasEnded(f"{process.args[0]} ended with {process.poll()}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args[0]} did not start")
