"""A Celery worker process of the run: ``python -m holdover.demo.worker NUMBER``.

It is Celery's own ``worker`` command on the app of `holdover.demo.site`; it says when
it is ready as a line of JSON, and ends with whoever started it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from celery.signals import worker_ready

from holdover.demo.errors import DemoError
from holdover.demo.lifeline import end_with_parent

_STDOUT = 1
_NICE = 10  # as an embedded worker process of Holdover's: the site comes first


def main() -> None:
    """Carry out orders until told to end."""
    end_with_parent()
    from holdover.demo.site import app  # which reads the corpus

    if app is None:
        raise DemoError("this is a part of `holdover demo`, which starts it")
    os.nice(_NICE)  # only now: nobody visits the site before its workers are ready
    worker_ready.connect(_say_ready)
    # Threads, and not the solo pool: that one stalls on RabbitMQ.
    pool = ["--pool", "threads", "--concurrency", "1"]
    name = ["--hostname", f"{app.main}-{sys.argv[1]}@localhost"]
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["--quiet", "worker", "-l", "WARNING", *pool, *name, *alone])


def _say_ready(**_: Any) -> None:
    # Not sys.stdout, which Celery has made a part of its log.
    os.write(_STDOUT, json.dumps({"pid": os.getpid()}).encode() + b"\n")


if __name__ == "__main__":
    main()
