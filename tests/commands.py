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
    """Runs commands in one folder; at the end of a block none is left.

    Args:
        folder: Where they run, and find the application.
        **environ: What the application finds in its environment.
    """

    def __init__(self, folder, **environ):
        self.folder = folder
        self._environ = environ
        self._begun = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._begun:
            process.kill()
            process.communicate()

    def write(self, name, *lines):
        """Write a module of the application."""
        (self.folder / f"{name}.py").write_text("\n".join([*lines, ""]))

    def __call__(self, *words, app="shop", **environ):
        """Run a command to its end, in this process; give what came of it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "path", [str(HERE), *sys.path])
            for name, value in (self._environ | environ).items():
                patch.setenv(name, value)
            for module in self.folder.glob("*.py"):  # which other tests may have, too
                patch.delitem(sys.modules, module.stem, raising=False)
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
            env=self.environ(self._environ | environ),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def begin(self, *words, app="shop", stderr=subprocess.PIPE, **environ):
        """Start a command in a process of its own."""
        process = subprocess.Popen(
            self.line(*words, app=app),
            env=self.environ(self._environ | environ),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        self._begun.append(process)
        return process

    @staticmethod
    def line(*words, app):
        """Give the command line."""
        return [PROGRAM, *(["-A", app] if app else []), *words]

    @staticmethod
    def environ(more):
        """Give the environment."""
        return {**os.environ, "PYTHONPATH": str(HERE), **more}
