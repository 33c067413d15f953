"""A real browser without a window: Chromium, told what to do over a pipe."""

import base64
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from waiting import wait_until

_PATIENCE = 30.0
_QUIET = ["--disable-gpu", "--disable-quic", "--disable-background-networking"]
_QUIET += ["--no-first-run", "--disable-component-update", "--disable-sync"]

# Where Chromium looks for the pipe's ends.
_AS_3_AND_4 = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """Chromium with one page; it keeps what it has in a folder of its own.

    Attributes:
        problems: What a developer would see in red.
    """

    def __init__(self):
        self._numbers = itertools.count(1)
        self._unread = b""
        self.problems = []

    def __enter__(self):
        program = shutil.which("chromium")
        assert program, "chromium is missing: apt-get install chromium"
        self._folder = tempfile.mkdtemp(prefix="holdover-browser-")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        try:
            self._start(program, theirs_in, theirs_out)
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _open(self):
        made = self.ask("Target.createTarget", url="about:blank", session=None)
        attached = self.ask(
            "Target.attachToTarget", targetId=made["targetId"], flatten=True,
            session=None,
        )  # fmt: skip
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def _start(self, program, theirs_in, theirs_out):
        arguments = [program, "--headless", "--no-sandbox", *_QUIET]
        arguments += ["--remote-debugging-pipe", "--window-size=1400,1000"]
        ends = [str(theirs_in), str(theirs_out)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AS_3_AND_4, *ends, *arguments,
             f"--user-data-dir={self._folder}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def __exit__(self, *_):
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_PATIENCE)
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, method, *, session="", **params):
        """Have the browser do one thing, and give its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self):
        until = time.monotonic() + _PATIENCE
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], until - time.monotonic())
            assert ready, "the browser does not answer"
            self._unread += os.read(self._in, 1 << 20)
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        """Keep what a developer would see in red, such as what a CSP has forbidden."""
        if event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            if entry["level"] == "error" and "favicon" not in entry.get("url", ""):
                self.problems.append(entry["text"])
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(event["params"]["exceptionDetails"]))

    def run(self, script):
        """Run a script in the page, and give what it gives."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url):
        """Go to a page, and wait until it is there."""
        self.run("window.leaving = true")
        self.ask("Page.navigate", url=url)
        self.wait_for_page()

    def submit(self, form, **fields):
        """Fill in a form, by the names of its fields, and send it by its button."""
        for name, value in fields.items():
            key = "checked" if isinstance(value, bool) else "value"
            field = f"document.querySelector({json.dumps(form)}).elements"
            self.run(f"{field}[{json.dumps(name)}].{key} = {json.dumps(value)}")
        self.run("window.leaving = true")
        button = json.dumps(f"{form} [type=submit]")
        self.run(f"document.querySelector({button}).click()")
        self.wait_for_page()

    def wait_for_page(self):
        """Wait until the next page is there."""
        ready = "!window.leaving && document.readyState == 'complete'"
        wait_until(lambda: self.run(ready), "the page")

    def prefer(self, scheme):
        """Have its user like "light" or "dark" pages."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def text(self, selector="body"):
        """Give the text that people see."""
        found = f"document.querySelector({json.dumps(selector)})"
        return self.run(f"{found} ? {found}.innerText : ''")

    def picture(self, path):
        """Make a picture of the whole page."""
        made = self.ask(
            "Page.captureScreenshot", captureBeyondViewport=True, format="png"
        )
        path.write_bytes(base64.b64decode(made["data"]))
