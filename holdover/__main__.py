"""``python -m holdover``: the same as ``holdover``."""

from __future__ import annotations

from holdover.cli import main

main(prog_name="python -m holdover")
