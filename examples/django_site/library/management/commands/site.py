"""``manage.py site``: everything at once, until Ctrl-C."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command

from library.filling import fill

_PATIENCE = 10.0  # seconds


class Command(BaseCommand):
    """Makes what is missing, and starts the server, the scheduler and the worker."""

    requires_system_checks = ()  # the server makes them
    help = "Start the site: database, articles, admin, server, periodic work, worker."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="0: any free one")

    def handle(self, *, port: int, **_options: object) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C
        with contextlib.suppress(KeyboardInterrupt):
            call_command("migrate", verbosity=0)
            self._say(f"{fill()} articles, in {settings.DATA}")
            self._make_admin()
            self._run(
                ["holdover_run"],
                ["runserver", "--noreload", f"127.0.0.1:{port}"],
                *([["worker"]] if settings.BROKER else []),
            )

    def _make_admin(self) -> None:
        users = get_user_model().objects
        if users.filter(username="admin").exists():
            self._say("Admin: admin (manage.py changepassword admin)")
            return
        password = secrets.token_urlsafe(9)
        users.create_superuser("admin", password=password)
        self._say(f"Admin: admin, password {password}")

    def _run(self, *commands: list[str]) -> None:
        """Run commands until one ends, which is none's business."""
        with contextlib.ExitStack() as stack:
            names = {stack.enter_context(_part(one)): one[0] for one in commands}
            ended, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        raise CommandError(f"manage.py {names[ended]} has ended, with status {code}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


@contextlib.contextmanager
def _part(command: list[str]) -> Iterator[int]:
    """Have a process run a command of manage.py; give its pid, and end it."""
    process = subprocess.Popen(
        [sys.executable, sys.argv[0], *command],
        # Let go of however this process ends; then its parts end, too.
        stdin=subprocess.PIPE,
        env={**os.environ, "SITE_DEBUG": "1", "SITE_LIFELINE": "1"},
        start_new_session=True,  # Ctrl-C is for this process, which tells its parts
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
