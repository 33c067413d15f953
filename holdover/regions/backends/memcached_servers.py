"""The servers of `holdover.memcached`, and which of them has what."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

from holdover.regions.backends.memcached_link import Connection, Link
from holdover.regions.backends.memcached_names import REMEMBERED, Ring
from holdover.regions.backends.memcached_options import Options
from holdover.regions.backends.sending import T, batches

Connector = Callable[[str, Options], Callable[[], Connection]]


class Servers:
    """The way to each server.

    A server that is away is not replaced by another, which would have older values when
    it comes back.

    Args:
        options: Which servers, and how long to wait for them.
        connector: Gives what makes connections to one of them.
    """

    def __init__(self, options: Options, connector: Connector) -> None:
        self.links = [Link(connector(one, options), one) for one in options.servers]
        # Not of a method of ours: connections in a circle are not closed in order.
        ring = Ring(options.servers)
        self._number_for = functools.lru_cache(maxsize=REMEMBERED)(ring.number_for)

    def link_for(self, name: bytes) -> Link:
        """Give the way to whatever goes by this value's or clock's name."""
        return self.links[self._number_for(name)]

    def shared_out(
        self,
        items: Iterable[T],
        name: Callable[[T], bytes],
        size: Callable[[T], int] = lambda _: 0,
    ) -> Iterator[tuple[Link, Sequence[T]]]:
        """Part items by server, and then so that no server is held up for too long.

        Args:
            items: What to part.
            name: Gives the name of an item's value.
            size: Gives an item's bytes.
        """
        shares: list[list[T]] = [[] for _ in self.links]
        for item in items:
            shares[self._number_for(name(item))].append(item)
        for link, share in zip(self.links, shares, strict=True):
            for batch in batches(share, size=size):
                yield link, batch
