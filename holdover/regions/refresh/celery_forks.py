"""Making Celery fit to be forked while threads of ours use it.

Kombu's cached properties share one lock each between all threads of the process, and
take it with every access. A fork at such a moment leaves it locked in the child for
ever, and with it any Celery app there, the user's own included. A module that is half
imported when a process forks stays so, too; therefore all is imported early.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module

from kombu.utils.objects import cached_property

from holdover.regions.forks import renew_after_fork

_WORKER_MODULES = (
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.trace",
    "celery.backends.base",
    "celery.concurrency.solo",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.worker",
    "kombu.transport.memory",
)


def import_worker() -> None:
    """Import what an embedded worker would import in its thread."""
    for name in _WORKER_MODULES:
        import_module(name)


class KombuLocks:
    """The locks of all cached properties of Celery and Kombu."""

    def __init__(self) -> None:
        self._properties: set[cached_property] = set()
        renew_after_fork(self)

    def find(self) -> None:
        """Find those of what has been imported up to now."""
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] not in {"celery", "kombu"}:
                continue
            for kind in list(vars(module).values()):
                if isinstance(kind, type) and kind.__module__ == name:
                    self._properties.update(_cached_properties(kind))

    def after_fork(self) -> None:
        """Free them: whichever thread held one has stayed behind in the parent."""
        for one in self._properties:
            one.lock = threading.RLock()


def _cached_properties(kind: type) -> set[cached_property]:
    return {one for one in vars(kind).values() if isinstance(one, cached_property)}


KOMBU_LOCKS = KombuLocks()
