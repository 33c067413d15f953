"""Running ``holdover``, as an operator does, on applications in a test's own folder."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from holdover.cli import main

PROGRAM = Path(sys.executable).with_name("holdover")
HERE = Path(__file__).parent


class Commands:
    """Runs commands in one folder.

    Args:
        folder: Where they run, and find the application.
    """

    def __init__(self, folder):
        self.folder = folder

    def write(self, name, *lines):
        """Write a module of the application."""
        (self.folder / f"{name}.py").write_text("\n".join([*lines, ""]))

    def __call__(self, *words, app="shop", **environ):
        """Run a command to its end, in this process; give what came of it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "path", [str(HERE), *sys.path])
            for name, value in environ.items():
                patch.setenv(name, value)
            known = set(sys.modules)
            line = [str(word) for word in self.line(*words, app=app)[1:]]
            done = CliRunner().invoke(main, line, prog_name="holdover")
            for name in set(sys.modules) - known:
                if str(self.folder) in str(getattr(sys.modules[name], "__file__", "")):
                    del sys.modules[name]
        return SimpleNamespace(
            returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr
        )

    def run(self, *words, app="shop", **environ):
        """Run a command to its end, in a process of its own."""
        return subprocess.run(
            self.line(*words, app=app),
            env=self.environ(environ),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def begin(self, *words, app="shop", **environ):
        """Start a command in a process of its own."""
        return subprocess.Popen(
            self.line(*words, app=app),
            env=self.environ(environ),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def line(*words, app):
        """Give the command line."""
        return [PROGRAM, *(["-A", app] if app else []), *words]

    @staticmethod
    def environ(more):
        """Give the environment."""
        return {**os.environ, "PYTHONPATH": str(HERE), **more}
