"""A private RabbitMQ server: own ports, a folder of its own, and its own epmd."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from kombu import Connection
from servers import free_port, program, wait_until_open

_PATIENCE = 60.0
# What stands in sbin changes the user, and finds its settings in the machine's folders.
_PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_SETTINGS = """\
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 10MB
"""


class RabbitServer:
    """A RabbitMQ server.

    Erlang's nodes meet by epmd, of which each machine has one, and which a node leaves
    behind; so this one brings its own.
    """

    user = "rabbitmq"

    def __init__(self):
        program("rabbitmq-server", "rabbitmq-server")
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._folder = Path(tempfile.mkdtemp(prefix="holdover-"))
        self._epmd_port = free_port()
        self._process = self._epmd = None

    def __enter__(self):
        (self._folder / "rabbit.conf").write_text(_SETTINGS)
        if os.geteuid() == 0:
            shutil.chown(self._folder, self.user, self.user)
        try:
            port = str(self._epmd_port)
            epmd = program("epmd", "erlang-base")
            self._epmd = self._run(epmd, "-port", port, "-address", "127.0.0.1")
            wait_until_open(self._epmd, self._epmd_port)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self):
        """Start it, with what it had, and wait until it speaks AMQP."""
        self._process = self._run(_PROGRAM)
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"rabbitmq-server ended with {self._process.poll()}")
            with contextlib.suppress(OSError):
                if self._speaks():
                    return
            time.sleep(0.02)
        raise RuntimeError("rabbitmq-server did not start")

    def stop(self):
        """Kill it, frozen or not."""
        if self._process is not None and self._process.poll() is None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    kill = stop

    def freeze(self):
        """Let it hang: connections stay, and nothing is answered."""
        self._signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # it is not at once

    def thaw(self):
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def count(self, queue):
        """Tell how many messages wait in a queue; 0 if there is none."""
        with Connection(self.url) as link, link.channel() as channel:
            try:
                return channel.queue_declare(queue, passive=True).message_count
            except channel.connection.channel_errors:
                return 0

    def _speaks(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as link:
            link.sendall(b"AMQP\x00\x00\x09\x01")
            return link.recv(1) == b"\x01"  # a method frame: Connection.Start

    def _signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _run(self, *command):
        options = {}
        if os.geteuid() == 0:
            home = pwd.getpwnam(self.user)
            options.update(user=home.pw_uid, group=home.pw_gid, extra_groups=[])
        with (self._folder / "output").open("ab") as output:
            return subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._environment(),
                start_new_session=True,
                **options,
            )

    def _environment(self):
        folder = self._folder
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"holdover{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbit",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }
