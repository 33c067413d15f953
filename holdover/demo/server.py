"""The web process of one phase: ``python -m holdover.demo.server WAY``.

It takes a free port of the loopback interface, says which as a line of JSON, and ends
with whoever started it.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from typing import Any

import waitress

from holdover.demo.caches import way_named
from holdover.demo.corpus import standard_library
from holdover.demo.errors import DemoError
from holdover.demo.lifeline import end_with_parent
from holdover.demo.pages import Pages
from holdover.demo.placement import share_one_processor
from holdover.demo.settings import Settings

# Twice what waitress has by itself: with 4, the visitors of an expired page would wait
# in its queue instead of in the site, and all four ways would look more alike.
THREADS = 8
_LONGEST_ANSWER = 1 << 16  # bytes


def main() -> None:
    """Serve until told to end."""
    signal.signal(signal.SIGTERM, _end)
    # It warns of each request that finds all threads busy; here that is the point.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    end_with_parent()
    settings = Settings.from_environment()
    if settings is None:
        raise DemoError("this is a part of `holdover demo`, which starts it")
    standard_library()  # read now, not while the first visitor waits
    site = Pages(way_named(sys.argv[1]).prepare(settings))
    share_one_processor()  # only now: a worker that is running may use any
    server = waitress.create_server(site, host="127.0.0.1", port=0, threads=THREADS)
    # Have whole answers sent by the main loop. Else the thread that made one sends it,
    # holding the connection's lock but not the interpreter's; if the main loop wakes up
    # meanwhile, it polls that connection again and again until the kernel takes the
    # processor from it: 4 ms for one request in 50.
    server.adj.send_bytes = _LONGEST_ANSWER
    url = f"http://127.0.0.1:{server.effective_port}"
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()
    server.run()


def _end(*_: Any) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
