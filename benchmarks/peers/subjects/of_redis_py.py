"""Bare redis-py."""

from __future__ import annotations

import pickle

from redis import Redis
from redis.cluster import ClusterNode, RedisCluster

from peers.subject import KEYS, VALUE, Call, Maker, Place


def redis(place: Place, make: Maker) -> Call:
    """GET, and unpickle."""
    return getting(Redis.from_url(place.url), place, make)


def cluster(place: Place, make: Maker) -> Call:
    """GET from a cluster."""
    nodes = [one.split(":") for one in place.known["startup_nodes"]]
    client = RedisCluster(
        startup_nodes=[ClusterNode(host, int(port)) for host, port in nodes]
    )
    return getting(client, place, make)


def getting(client: Redis | RedisCluster, place: Place, make: Maker) -> Call:
    """Give the call that asks a client for one value."""
    key = place.name
    client.set(key, pickle.dumps(make()))
    return lambda: pickle.loads(client.get(key))


def many_redis(place: Place, make: Maker) -> Call:
    """MGET, and unpickle each."""
    client = Redis.from_url(place.url)
    keys = [f"{place.name}:{key}" for key in KEYS]
    client.mset(dict.fromkeys(keys, pickle.dumps(VALUE)))
    return lambda: [pickle.loads(one) for one in client.mget(keys)]
