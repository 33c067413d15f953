"""Hearing of changes elsewhere, so that a near cache drops them early.

One thread per near cache, behind everybody's back. While it hears nothing, for whatever
reason, the near cache's own bound holds, as it does without it.
"""

from __future__ import annotations

import queue
import random
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from holdover.regions.backends.pushing import Change, Pushing, Subscription
from holdover.regions.forks import ForkSafeLock, renew_after_fork
from holdover.regions.near import NearCache

_SLICE = 1.0  # seconds after which a thread looks whether it is still wanted
_QUIET_SLICES = 3  # after which the server is asked whether it is still there
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0
_DICE = random.SystemRandom()  # no state that a fork or a test could share


class Watch:
    """Has a near cache drop what is changed elsewhere, while somebody uses it.

    Args:
        backend: Tells of changes.
        region: The region whose values they are.
        prefix: What their keys begin with.
        near: The near cache.
        tell_lost: Called with the reason when no more is heard, once each time.

    Attributes:
        hears: Whether changes are heard right now; None if that was never tried.
    """

    def __init__(
        self,
        backend: Pushing,
        region: str,
        prefix: str,
        *,
        near: NearCache,
        tell_lost: Callable[[str], None],
    ) -> None:
        self._subscribe = partial(backend.subscribe, region, prefix)
        self._near = near
        self._tell_lost = tell_lost
        self._lock = ForkSafeLock()  # guards the start of the thread
        self.hears: bool | None = None
        self._stop: _Stop | None = None  # None while nobody listens
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin anew with the next read; the parent's thread is not here."""
        self.hears = None
        self._stop = None

    def start(self) -> None:
        """Listen from now on, unless that is under way."""
        if self._is_listening():
            return
        with self._lock.held:
            if self._is_listening():
                return
            stop = _Stop()
            thread = threading.Thread(
                target=_listen,
                # The end of the watch is that of a pause, too.
                args=(weakref.ref(self, lambda _: stop.end()), self._subscribe, stop),
                name="holdover-watch",
                daemon=True,
            )
            try:
                thread.start()
            except RuntimeError:  # no thread to be had; the next read asks again
                return
            self._stop = stop

    def _is_listening(self) -> bool:
        return self._stop is not None

    def stop(self) -> None:
        """Listen no more; the thread ends within a second or two."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop.end()

    # -- what the thread says ---------------------------------------------------

    def began(self) -> None:
        """All that happens from now on will be heard; what came before was not."""
        self._near.drop_all()
        self.hears = True

    def hear(self, change: Change) -> None:
        """Drop what was changed."""
        if change is None:
            self._near.drop_all()
        elif isinstance(change, str):
            self._near.drop(change)
        else:
            self._near.drop_those(change)

    def lost(self, reason: str) -> None:
        """Nothing is heard for a while: forget what may have changed meanwhile."""
        if self.hears is not False:
            self.hears = False
            self._near.drop_all()
            self._tell_lost(reason)


class _Stop:
    """Tells a thread that nobody wants it any more, and wakes it from its pause.

    Not a ``threading.Event``, which an exception from outside could leave locked.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def end(self) -> None:
        """Have the thread end."""
        self.is_over = True
        self._woken.put(None)

    def pause(self, seconds: float) -> None:
        """Let *seconds* pass, or less if it is over."""
        with suppress(queue.Empty):
            self._woken.get(timeout=seconds)


class _Pauses:
    """Growing pauses between tries; with jitter, so that not all come at once."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """A try has succeeded."""
        self._next = _FIRST_PAUSE

    def next(self) -> float:
        """Give the next pause in seconds."""
        pause, self._next = self._next, min(2 * self._next, _LONGEST_PAUSE)
        return pause * _DICE.uniform(0.5, 1.0)


# What follows runs in the thread. It must not hold on to the watch while it waits, so
# that the watch can end with its region.
_Ref = weakref.ref[Watch]


def _listen(of: _Ref, subscribe: Callable[[], Subscription], stop: _Stop) -> None:
    """Listen, again and again, until nobody wants it any more."""
    pauses = _Pauses()
    while of() is not None and not stop.is_over:
        try:
            subscription = subscribe()
            try:
                _pass_on(subscription, of, stop, pauses)
            finally:
                subscription.close()
        except Exception as error:  # noqa: BLE001 - answers that are none raise anything
            _say_lost(of, str(error))
            stop.pause(pauses.next())


def _pass_on(
    subscription: Subscription, of: _Ref, stop: _Stop, pauses: _Pauses
) -> None:
    """Pass on what is heard, until nobody wants it any more."""
    is_wanted = _say_begun(of)
    quiet = 0
    while is_wanted and not stop.is_over:
        if quiet < _QUIET_SLICES:
            changes = subscription.changes(_SLICE)
            quiet += 1
        else:
            changes = subscription.probe()
            quiet = 0
        pauses.begin_anew()
        is_wanted = _say_changed(of, changes)


def _say_begun(of: _Ref) -> bool:
    watch = of()
    if watch is not None:
        watch.began()
    return watch is not None


def _say_changed(of: _Ref, changes: Sequence[Change]) -> bool:
    watch = of()
    if watch is not None:
        for change in changes:
            watch.hear(change)
    return watch is not None


def _say_lost(of: _Ref, reason: str) -> None:
    watch = of()
    if watch is not None:
        watch.lost(reason)
