"""The nodes of a Redis Cluster, and which of them has what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from holdover.regions.backends.redis_link import Link
from holdover.regions.backends.redis_places import Place
from holdover.regions.backends.redis_replies import accepted
from holdover.regions.backends.redis_slots import BUCKETS, SLOT_OF_BUCKET
from holdover.regions.errors import BackendError
from holdover.regions.forks import ForkSafeLock

_ASK_EVERY = 0.2  # seconds
_LEFT_ALONE_FOR = 0.5  # seconds
_MOST_ASKED = 5  # nodes, until one says who has what

Ranges = list[tuple[int, int, Place]]


class Nodes:
    """The way to the primary of each bucket.

    A node that has failed is left alone for a moment, so that not everybody waits for
    it; meanwhile the others are asked whether a replica has taken its place.

    Args:
        startup: The nodes that are asked first who has what.
        linked: Makes the way to a node.
    """

    def __init__(
        self, startup: Iterable[Place], linked: Callable[[Place], Link]
    ) -> None:
        self._linked = linked
        self._startup = list(startup)
        self._links: dict[Place, Link] = {}
        self._failed_at: dict[Link, float] = {}  # steady clock
        self._ways: list[Link | None] = [None] * BUCKETS
        self._trouble = "its node has failed just now"
        self._ask_at = 0.0  # steady clock
        self._learning = ForkSafeLock()

    def way_to(self, bucket: int) -> Link:
        """Give the way to the node that has a bucket.

        Raises:
            BackendError: It is not known, or has failed just now.
        """
        way = self._ways[bucket]
        return self._find(bucket) if way is None else way

    def primaries(self) -> list[Link]:
        """Give the ways to all primaries, each once.

        Raises:
            BackendError: One is not known, or has failed just now.
        """
        return list(dict.fromkeys(map(self.way_to, range(BUCKETS))))

    def lose(self, link: Link) -> None:
        """Leave a node alone that did not answer."""
        self._failed_at[link] = time.monotonic()
        self._ways = [None if way is link else way for way in self._ways]

    def moved(self, bucket: int, text: str) -> None:
        """Believe a node that says where ("host:port") a bucket is now."""
        link = self.link_at(text, bucket)
        self._ways = [*self._ways[:bucket], link, *self._ways[bucket + 1 :]]

    def link_at(self, text: str, bucket: int) -> Link:
        """Give the way to "host:port"; without a host, that of *bucket*'s is meant.

        Raises:
            BackendError: That is no place.
        """
        host, _, port = text.rpartition(":")
        if not port.isdecimal():
            raise BackendError(f"a node says that a slot is at {text!r:.80}")
        asked = next(
            (place for place, one in self._links.items() if one is self._ways[bucket]),
            ("", 0),
        )
        return self.link_to((host.strip("[]") or asked[0], int(port)))

    def link_to(self, place: Place) -> Link:
        """Give the way to a node, whatever it has."""
        link = self._links.get(place)
        if link is None:
            link = self._links.setdefault(place, self._linked(place))
        return link

    def _find(self, bucket: int) -> Link:
        with self._learning.held:
            # Somebody may have learnt it while this one waited for him.
            if self._ways[bucket] is None and time.monotonic() >= self._ask_at:
                self._ask_at = time.monotonic() + _ASK_EVERY
                self._learn()
        way = self._ways[bucket]
        if way is None:
            slot = SLOT_OF_BUCKET[bucket]
            raise BackendError(f"no node is known to have slot {slot}: {self._trouble}")
        return way

    def _learn(self) -> None:
        """Ask who has what.

        Raises:
            BackendError: Nobody says.
        """
        for place in islice(self._candidates(), _MOST_ASKED):
            link = self.link_to(place)
            try:
                reply = accepted(link.ask(("CLUSTER", "SLOTS")))[0]
                self._believe(_ranges(reply, place))
            except BackendError as error:
                self._failed_at[link] = time.monotonic()
                self._trouble = str(error)
            else:
                return
        raise BackendError(f"no node says who has what: {self._trouble}")

    def _candidates(self) -> list[Place]:
        """Give all nodes that are known, those that have failed last at the end."""
        places = dict.fromkeys([*self._links, *self._startup])
        return sorted(places, key=lambda one: self._failed_at.get(self.link_to(one), 0))

    def _believe(self, ranges: Ranges) -> None:
        places = dict.fromkeys([*self._startup, *(place for _, _, place in ranges)])
        # Those that have left the cluster are forgotten, with their connections.
        self._links = {place: self.link_to(place) for place in places}
        failed = self._failed_at
        self._failed_at = {
            link: failed[link] for link in self._links.values() if link in failed
        }
        self._ways = [self._owner(slot, ranges) for slot in SLOT_OF_BUCKET]

    def _owner(self, slot: int, ranges: Ranges) -> Link | None:
        for first, last, place in ranges:
            if first <= slot <= last:
                link = self._links[place]
                alone_until = self._failed_at.get(link, -1.0) + _LEFT_ALONE_FOR
                return link if time.monotonic() >= alone_until else None
        return None


def _ranges(reply: Any, asked: Place) -> Ranges:
    """Read the answer to CLUSTER SLOTS: of each range, the primary comes first."""
    try:
        return [
            (int(first), int(last), ((host or b"").decode() or asked[0], int(port)))
            for first, last, (host, port, *_), *_ in reply
        ]
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise BackendError(f"a node answered {reply!r:.80} about slots") from error
