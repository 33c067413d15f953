"""Programs that serve pages, and what asks for them."""

import contextlib
import http.cookiejar
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from servers import HasEnded, free_port, start_somewhere
from waiting import wait_until

EXAMPLES = Path(__file__).parent.parent / "examples"
ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1"}
NO_PROXY = urllib.request.ProxyHandler({})
UWSGI = "import pyuwsgi, sys; sys.exit(pyuwsgi.run(sys.argv[1:]))"
UWSGI_OPTIONS = ["--master", "--die-on-term", "--need-app", "--pythonpath", "."]
DIRECTLY = urllib.request.build_opener(NO_PROXY)


@contextlib.contextmanager
def served(program, *arguments, **environment):
    """Start a server on a free port; give the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, str(program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, **environment},
    )
    try:
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+/\w*", line):
                yield found.group()
                return
        raise AssertionError(process.stderr.read())
    finally:
        process.terminate()
        process.communicate(timeout=60)


class WSGIServer:
    """Serves an application by a WSGI server, or by one of ASGI.

    Args:
        name: "waitress", "gunicorn", "uwsgi" or "uvicorn".
        application: What stands behind its name: "module:name".
        folder: Where the module is.
        variables: More environment variables, by name.
        options: The server's own.
    """

    def __init__(self, name, application, folder, variables, *options):
        self._name = name
        last = ["--module", application] if name == "uwsgi" else [application]
        self._arguments = [*options, *last]
        self._folder = folder
        self._environment = {**ENVIRONMENT, **variables}
        self.take_port()

    def take_port(self):
        """Choose where to listen."""
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}/"

    def __enter__(self):
        start_somewhere(self)
        return self

    def _command(self):
        here = f"127.0.0.1:{self.port}"
        listen = {
            "waitress": ["-m", "waitress", "--listen", here],
            "gunicorn": ["-m", "gunicorn", "--bind", here],
            "uwsgi": ["-c", UWSGI, *UWSGI_OPTIONS, "--http-socket", here],
            "uvicorn": ["-m", "uvicorn", "--port", str(self.port)],
        }[self._name]
        return [sys.executable, *listen, *self._arguments]

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)

    def start(self):
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            self._command(),
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "an answer of the server", patience=60.0)

    def workers(self):
        """Give the pids of its child processes that live."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(one) for one in children if is_alive(one)]

    def _answers(self):
        if self.process.poll() is not None:
            raise HasEnded(f"{self._name} ended with {self.process.poll()}")
        with contextlib.suppress(OSError):
            return visit(self.address)
        return None


def is_alive(pid):
    """Tell whether a process is there, and not only waits to be reaped."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return after_name.split()[0] not in {"Z", "X"}


def sessions_served(name, store, *options):
    """Give a server of the plain example about sessions.

    Args:
        name: See `WSGIServer`.
        store: Where sessions are kept.
        options: See `WSGIServer`.
    """
    folder, variables = EXAMPLES / "sessions", {"SESSION_STORE": store}
    return WSGIServer(name, "plain_app:application", folder, variables, *options)


def visit(address):
    """Give what a page says."""
    with DIRECTLY.open(address, timeout=30) as response:
        return response.read().decode()


class Visitor:
    """Asks for pages, and keeps cookies."""

    def __init__(self):
        self.jar = http.cookiejar.CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        self._opener = urllib.request.build_opener(NO_PROXY, cookies)

    def ask(self, address, method="GET"):
        """Give what a page says."""
        request = urllib.request.Request(address, method=method)
        with self._opener.open(request, timeout=30) as response:
            return response.read().decode()

    @property
    def cookies(self):
        """The cookies' values."""
        return [one.value for one in self.jar]
