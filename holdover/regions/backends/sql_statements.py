"""The statements of `holdover.sql`, in the words of each kind of database.

Each is atomic by itself and is run outside any transaction. The database's own clock
says what time it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from holdover.regions.errors import ConfigurationError, unknown

CHANNEL = "holdover_"
"""What PostgreSQL's channel is called, with the table's number behind it."""

_PARAMETER = re.compile(r":(\w+)")
_SIGNS = {"qmark": "?", "format": "%s", "pyformat": "%s"}
_NO_LEASE = (
    "lease_token = NULL, lease_kind = NULL, lease_fence = NULL, lapses_at = NULL, "
    "reason = NULL"
)
_LEASE = ("lease_token", "lease_kind", "lease_fence", "lapses_at")
_LAPSES = "{now} + :ttl"
_TELLING = f"RETURNING pg_notify('{CHANNEL}' || tableoid, encode(id, 'hex'))"
_PROVEN = " WHERE id = :id AND lease_token = :token"
_DEAD = "expires_at <= {now} AND (lapses_at IS NULL OR lapses_at <= {now})"


@dataclass(frozen=True, slots=True)
class Flavor:
    """How one kind of database says things.

    Attributes:
        now: Its clock, in seconds since 1970.
        offered: The value that an insert wanted to give a column of a row that exists.
        replacing: Ends an insert that changes the row if it exists.
        conditional: Whether that takes a condition.
        ignoring: How an insert begins and ends that leaves a row alone if it exists.
        locking: Ends a query that locks its row for the caller's transaction.
    """

    now: str
    offered: str
    replacing: str
    conditional: bool
    ignoring: tuple[str, str]
    locking: str = " FOR UPDATE"


_MYSQL = Flavor(
    now="(UNIX_TIMESTAMP(NOW(6)) + 0e0)",
    offered="VALUES({})",
    replacing="ON DUPLICATE KEY UPDATE",
    conditional=False,
    ignoring=("INSERT IGNORE", ""),
)
FLAVORS = {
    "sqlite": Flavor(
        now="((julianday('now') - 2440587.5) * 86400.0)",
        offered="excluded.{}",
        replacing="ON CONFLICT (id) DO UPDATE SET",
        conditional=True,
        ignoring=("INSERT", "ON CONFLICT (id) DO NOTHING"),
        locking="",
    ),
    "postgresql": Flavor(
        now="CAST(extract(epoch from clock_timestamp()) AS double precision)",
        offered="excluded.{}",
        replacing="ON CONFLICT (id) DO UPDATE SET",
        conditional=True,
        ignoring=("INSERT", "ON CONFLICT (id) DO NOTHING"),
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}
"""By the names of SQLAlchemy's dialects."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as the driver wants it, and the names of its parameters in turn."""

    sql: str
    names: tuple[str, ...]

    def parameters(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """Put the parameters in order."""
        return tuple([given[name] for name in self.names])


class Statements:
    """All statements about one table, for one driver.

    Args:
        dialect: The name of SQLAlchemy's dialect.
        paramstyle: How the driver writes parameters (PEP 249).
        table: The table's name, quoted.
        notify: Whether what changes a value or a clock tells those who listen.

    Attributes:
        table: The same.

    Raises:
        ConfigurationError: Nobody knows how to talk to that database or driver.
    """

    def __init__(
        self, dialect: str, paramstyle: str, table: str, *, notify: bool = False
    ) -> None:
        if dialect not in FLAVORS:
            raise ConfigurationError(unknown("flavor of SQL", dialect, FLAVORS))
        if paramstyle not in _SIGNS:
            raise ConfigurationError(unknown("parameter style", paramstyle, _SIGNS))
        self._flavor = FLAVORS[dialect]
        self._sign = _SIGNS[paramstyle]
        self._telling = f" {_TELLING}" if notify else ""
        self.table = table
        self._many = lru_cache(maxsize=64)(self._built_for_many)
        self._make_values()
        self._make_leases()
        self._make_ends()
        self._make_clocks()

    def _make_values(self) -> None:
        make, flavor, telling = self._make, self._flavor, self._telling
        # No row only if there is no clock. Cheaper than two subqueries.
        self.read = make(
            "SELECT value.envelope, clock.fence FROM {t} AS clock LEFT JOIN {t} AS "
            "value ON value.id = :id WHERE clock.id = :clock"
        )
        insert = (
            "INTO {t} (id, envelope, fence, expires_at) "
            "VALUES (:id, :envelope, :fence, {now} + :ttl)"
        )
        replaced = self._offered(("envelope", "fence", "expires_at"))
        self.write = make(
            f"INSERT {insert} {flavor.replacing} {replaced}, {_NO_LEASE}{telling}"
        )
        update = (
            "UPDATE {t} SET envelope = :envelope, fence = :fence, "
            f"expires_at = {{now}} + :ttl, {_NO_LEASE} WHERE id = :id AND "
        )
        self.swap = make(f"{update}fence = :seen{telling}")
        begin, end = flavor.ignoring
        self.add = (
            make(f"{update}fence IS NULL{telling}"),
            make(f"{begin} {insert} {end}{telling}"),
        )
        self.commit = make(f"{update}lease_fence = :lease_fence{telling}")
        self.bury = make(
            "INSERT INTO {t} (id, expires_at) VALUES (:id, {now}) "
            f"{flavor.replacing} {self._offered(('expires_at',))}, "
            f"envelope = NULL, fence = NULL, {_NO_LEASE}{telling}"
        )

    def _make_leases(self) -> None:
        make, flavor = self._make, self._flavor
        insert = (
            f"INTO {{t}} (id, {', '.join(_LEASE)}, expires_at) VALUES "
            f"(:id, :token, :kind, :fence, {_LAPSES}, {_LAPSES})"
        )
        free = (
            "({t}.fence IS NULL OR {t}.fence = :seen) AND ({t}.lapses_at IS NULL OR "
            "{t}.lapses_at <= {now} OR {t}.lease_kind IN (:queued, :paused))"
        )
        begin, end = flavor.ignoring
        taken = (
            "lease_token = :token, lease_kind = :kind, lease_fence = :fence, "
            f"lapses_at = {_LAPSES}, reason = NULL"
        )
        self.take: tuple[Statement, ...] = (
            make(f"UPDATE {{t}} SET {taken} WHERE id = :id AND {free}"),
            make(f"{begin} {insert} {end}"),
        )
        if flavor.conditional:  # both in one
            taken = f"{self._offered(_LEASE)}, reason = NULL"
            self.take = (
                make(f"INSERT {insert} {flavor.replacing} {taken} WHERE {free}"),
            )
        self.state = make(
            "SELECT fence, CASE WHEN lease_token = :token OR fence = :seen THEN NULL "
            "ELSE envelope END, lease_token, lease_kind, lapses_at - {now}, reason, "
            "(SELECT fence FROM {t} WHERE id = :clock) FROM {t} WHERE id = :id"
        )

    def _make_ends(self) -> None:
        make = self._make
        self.renew = make(f"UPDATE {{t}} SET lapses_at = {_LAPSES}{_PROVEN}")
        self.adopt = make(
            "UPDATE {t} SET lease_token = :new_token, lease_kind = :kind, "
            f"lapses_at = {_LAPSES}{_PROVEN}"
        )
        self.adopted = make(
            "SELECT lease_fence, (SELECT fence FROM {t} WHERE id = :clock) FROM {t}"
            + _PROVEN
        )
        self.release = (
            make(f"DELETE FROM {{t}}{_PROVEN} AND fence IS NULL"),
            make(f"UPDATE {{t}} SET {_NO_LEASE}{_PROVEN}"),
        )
        self.back_off = make(
            "UPDATE {t} SET lease_token = :nobody, lease_kind = :kind, "
            f"lease_fence = 0, reason = :reason, lapses_at = {_LAPSES}{_PROVEN}"
        )
        self.leased = make(
            "SELECT lease_kind, lapses_at - {now}, reason FROM {t} "
            "WHERE id = :id AND lapses_at > {now}"
        )

    def _make_clocks(self) -> None:
        make, flavor = self._make, self._flavor
        self.tick = make("SELECT fence FROM {t} WHERE id = :clock")
        self.now = make("SELECT {now}")
        clock = "SELECT fence, envelope, {now} FROM {t} WHERE id = :clock"
        self.clock = make(clock)
        self.locked_clock = make(clock + flavor.locking)
        begin, end = flavor.ignoring
        self.begin_clock = make(
            f"{begin} INTO {{t}} (id, envelope, fence) "
            f"VALUES (:clock, :record, :tick) {end}{self._telling}"
        )
        self.lose_clock = make(
            "DELETE FROM {t} WHERE id = :clock AND (fence = :before OR fence IS NULL)"
        )
        self.move_clock = make(
            "UPDATE {t} SET fence = :tick, envelope = :record "
            f"WHERE id = :clock AND fence = :before{self._telling}"
        )
        # PostgreSQL's, which every process sees alike, however it names the table.
        self.table_number = make("SELECT CAST(CAST('{t}' AS regclass) AS oid)")
        self.dead = make(f"SELECT id FROM {{t}} WHERE {_DEAD} LIMIT :most")

    # -- about several rows ----------------------------------------------------

    def read_many(
        self, ids: Sequence[bytes], clock: bytes
    ) -> tuple[str, Sequence[Any]]:
        """Read several values, and the clock's tick."""
        padded = _padded(ids)
        return self._many("read", len(padded)), (*padded, clock)

    def remove_values(self, ids: Sequence[bytes]) -> tuple[str, Sequence[Any]]:
        """Remove those of several rows that have a value."""
        padded = _padded(ids)
        return self._many("values", len(padded)), padded

    def remove_rows(self, ids: Sequence[bytes]) -> tuple[str, Sequence[Any]]:
        """Remove several rows, with or without a value."""
        padded = _padded(ids)
        return self._many("rows", len(padded)), padded

    def remove_dead_values(self, ids: Sequence[bytes]) -> tuple[str, Sequence[Any]]:
        """Remove those of several rows that have a value and are past their ttl."""
        padded = _padded(ids)
        return self._many("dead values", len(padded)), padded

    def remove_dead_rows(self, ids: Sequence[bytes]) -> tuple[str, Sequence[Any]]:
        """Remove those of several rows that are of no use to anybody."""
        padded = _padded(ids)
        return self._many("dead rows", len(padded)), padded

    def _built_for_many(self, what: str, count: int) -> str:
        among = f"id IN ({', '.join([':id'] * count)})"
        delete = f"DELETE FROM {{t}} WHERE {among}"
        return self._make(
            {
                "read": f"SELECT id, envelope, NULL FROM {{t}} WHERE {among} UNION ALL "
                "SELECT id, NULL, fence FROM {t} WHERE id = :clock",
                "values": f"{delete} AND fence IS NOT NULL{self._telling}",
                "rows": delete + self._telling,
                "dead values": f"{delete} AND fence IS NOT NULL AND {_DEAD}",
                "dead rows": f"{delete} AND {_DEAD}",
            }[what]
        ).sql

    # -- small steps -----------------------------------------------------------

    def _make(self, words: str) -> Statement:
        whole = words.format(t=self.table, now=self._flavor.now).strip()
        names = tuple(_PARAMETER.findall(whole))
        return Statement(_PARAMETER.sub(lambda _: self._sign, whole), names)

    def _offered(self, columns: Sequence[str]) -> str:
        offered = self._flavor.offered
        return ", ".join(f"{name} = {offered.format(name)}" for name in columns)


def _padded(ids: Sequence[bytes]) -> tuple[bytes, ...]:
    """Repeat the last one, so that there are few different statements to prepare."""
    wanted = 1 << (len(ids) - 1).bit_length()
    return (*ids, *[ids[-1]] * (wanted - len(ids)))
