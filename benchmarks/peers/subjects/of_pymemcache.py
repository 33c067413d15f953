"""Bare pymemcache."""

from __future__ import annotations

import pickle

import pymemcache

from peers.subject import KEYS, VALUE, Call, Maker, Place


def memcached(place: Place, make: Maker) -> Call:
    """Get, and unpickle."""
    client, key = pymemcache.Client(place.url, no_delay=True), place.name
    client.set(key, pickle.dumps(make()), noreply=False)
    return lambda: pickle.loads(client.get(key))


def many_memcached(place: Place, make: Maker) -> Call:
    """Get all at once, and unpickle each."""
    client = pymemcache.Client(place.url, no_delay=True)
    keys = [f"{place.name}:{key}" for key in KEYS]
    client.set_many(dict.fromkeys(keys, pickle.dumps(VALUE)), noreply=False)
    return lambda: [pickle.loads(one) for one in client.get_many(keys).values()]
