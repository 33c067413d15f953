"""Several keys at once: one read, one creator for all that are missing, a lease each.

No key is waited for while another one's lease is held, so that two batches that want
each other's keys never stand in each other's way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from holdover.regions import events
from holdover.regions.backends.grants import Busy, Lease, LeaseKind
from holdover.regions.calls import Call, CreateMany, Made, Part
from holdover.regions.creation import AT_ONCE, Creation
from holdover.regions.crew import Crew
from holdover.regions.errors import BackendError, CreatorTimeout
from holdover.regions.flights import FLIGHTS, Flight, Landed, ticket
from holdover.regions.foreground import Slow
from holdover.regions.freshness import Freshness, is_due_early
from holdover.regions.outcomes import Found
from holdover.regions.tier import Answer


class Batches:
    """Answers calls for several keys of one region.

    Args:
        crew: Those who do the work.
        creation: Answers for single keys, which others create.
    """

    def __init__(self, crew: Crew, creation: Creation) -> None:
        self._crew = crew
        self._creation = creation

    def answer(self, calls: Sequence[Call], create: CreateMany) -> list[Any]:
        """Give the callers' values, some of which may be old ones.

        Args:
            calls: One for each key, all with the same lifetime; no key twice.
            create: Makes several values at once.

        Raises:
            LeaseTimeout: See `Creation.answer`, also for the other errors.
            UncacheableValue: *create* returned something else than a value per key.
            Exception: Whatever *create* raised, unchanged.
        """
        if not calls:
            return []
        keys = [call.key for call in calls]
        founds = self._crew.tier.find_multi(keys, calls[0].lifetime)
        asked = ticket()
        answers: dict[str, Any] = {}
        wanting: list[tuple[Call, Found]] = []
        for call, found in zip(calls, founds, strict=True):
            call.asked = asked
            is_fresh = found.freshness is Freshness.FRESH
            if is_fresh:
                region = self._crew.tier.region
                self._crew.listeners.hit(region, call.key, near=found.near)
            if is_fresh and not self._is_due(call, found):
                answers[call.key] = found.entry.value
            else:
                wanting.append((call, found))
        answers.update(self._answer_wanting(wanting, create))
        return [answers[key] for key in keys]

    def recreate(self, calls: Sequence[Call], create: CreateMany) -> list[Any]:
        """Create values now, whatever is there, and store them unless overtaken.

        Raises:
            Exception: Whatever *create* raised, unchanged; what was there stays.
        """
        made, others = self._create_now(self._looked_up(calls), create)
        answers = {key: one.value for key, one in made.items()}
        for call in others:
            answers[call.key] = self._creation.recreate(call)
        return [answers[call.key] for call in calls]

    def warm(
        self, calls: Sequence[Call], create: CreateMany, *, force: bool
    ) -> list[Made]:
        """Create those values now that are not fresh, as `Creation.warm` does.

        Returns:
            What was made.

        Raises:
            BackendError: See `Creation.warm`, as for all others.
        """
        for call in calls:
            call.strict = True
        pairs = self._looked_up(calls, strict=True)
        if not force:
            pairs = [p for p in pairs if p[1].freshness is not Freshness.FRESH]
        made, others = self._create_now(pairs, create)
        later = [self._creation.warm(call, force=force) for call in others]
        return [*made.values(), *(one for one in later if one is not None)]

    def _looked_up(
        self, calls: Sequence[Call], *, strict: bool = False
    ) -> list[tuple[Call, Found]]:
        if not calls:
            return []
        keys = [call.key for call in calls]
        founds = self._crew.tier.look_multi(keys, calls[0].lifetime, strict=strict)
        return list(zip(calls, founds, strict=True))

    def _create_now(
        self, pairs: Sequence[tuple[Call, Found]], create: CreateMany
    ) -> tuple[dict[str, Made], list[Call]]:
        """Create what nobody else does; give that by key, and the calls for the rest.

        Raises:
            BackendError: A value could not be stored, and its caller is strict.
        """
        asked = ticket()
        for call, _ in pairs:
            call.asked = asked
        with ExitStack() as seats:
            parts, others = self._claim(pairs, seats, overtaking=AT_ONCE)
            if any(part.lease is None and part.call.strict for part in parts):
                raise BackendError("no leases of these keys are to be had")
            made = self._crew.maker.many(parts, create) if parts else []
        by_key = {part.call.key: one for part, one in zip(parts, made, strict=True)}
        return by_key, [call for call, _ in others]

    def _answer_wanting(
        self, wanting: Sequence[tuple[Call, Found]], create: CreateMany
    ) -> dict[str, Any]:
        """Serve what is old, order what can be ordered, create the rest."""
        old: list[tuple[Call, Found]] = []
        missing: list[tuple[Call, Found]] = []
        for call, found in wanting:
            is_old = found.freshness in (Freshness.FRESH, Freshness.STALE)
            (old if is_old else missing).append((call, found))
            if not is_old:
                self._creation.tell_missed(call)
        answers: dict[str, Any] = {}
        orders = self._crew.orders
        if orders:
            empty = [pair for pair in missing if pair[0].empty is not None]
            missing = [pair for pair in missing if pair[0].empty is None]
            newer = orders.place_many([*old, *empty], create)
            for call, found in [*old, *empty]:
                answers[call.key] = self._creation.serve_or_empty(
                    call, newer.get(call.key, found)
                )
            old = []
        answers.update(self._create_what_is_free(old, missing, create))
        return answers

    def _create_what_is_free(
        self,
        old: Sequence[tuple[Call, Found]],
        missing: Sequence[tuple[Call, Found]],
        create: CreateMany,
    ) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        later: list[tuple[Call, Found]] = []  # others create them; so after our own
        with ExitStack() as seats:
            parts: list[Part] = []
            # A pause after a failure is settled key by key.
            for pairs, overtaking in ((old, ()), (missing, [LeaseKind.QUEUED])):
                mine, theirs = self._claim(pairs, seats, overtaking=overtaking)
                parts += mine
                later += theirs
            for part in parts:
                self._creation.tell_paid(part.call, part.found)
            if parts:
                answers.update(self._create(parts, create))
        for call, found in later:
            answers[call.key] = self._creation.settle(call, found)
        return answers

    def _claim(
        self,
        pairs: Sequence[tuple[Call, Found]],
        seats: ExitStack,
        *,
        overtaking: Collection[LeaseKind],
    ) -> tuple[list[Part], list[tuple[Call, Found]]]:
        """Win the leases of those keys that nobody else creates."""
        crew = self._crew
        free: dict[str, tuple[Call, Found, Flight]] = {}
        others: list[tuple[Call, Found]] = []
        for call, found in pairs:
            seat = seats.enter_context(
                FLIGHTS.board((crew.tier, call.key), may_wait=False)
            )
            if seat.is_mine:
                free[call.key] = (call, found, seat.flight)
            else:
                others.append((call, found))
        mine: list[Part] = []
        for (call, found, flight), grant in zip(
            free.values(), self._acquire(free, overtaking), strict=True
        ):
            if isinstance(grant, Lease) or (grant is None and _must(found)):
                mine.append(Part(call, found, flight, grant))
                continue
            FLIGHTS.close((crew.tier, call.key), flight)
            if isinstance(grant, Busy):
                crew.taken.remember(call.key, found.entry, grant.expires_in)
            others.append((call, grant if isinstance(grant, Found) else found))
        return mine, others

    def _acquire(
        self,
        free: Mapping[str, tuple[Call, Found, Flight]],
        overtaking: Collection[LeaseKind],
    ) -> Sequence[Answer]:
        if not free:
            return []
        first_call, _, _ = next(iter(free.values()))
        return self._crew.tier.acquire_multi(
            {key: found.entry for key, (_, found, _) in free.items()},
            first_call.lifetime,
            self._crew.terms.ttl,
            overtaking=overtaking,
        )

    def _create(self, parts: list[Part], create: CreateMany) -> dict[str, Any]:
        """Create in the foreground; where that fails, old values may still serve."""
        crew = self._crew
        flights = {part.call.key: part.flight for part in parts}
        gone = [p for p in parts if p.found.freshness is Freshness.GONE]
        try:
            made = crew.foreground.create_many(parts, create, has_old_value=not gone)
        except Slow as slow:
            for key in flights:
                crew.tier.tell(events.CreatorSlow, key, str(slow))
            if gone:
                raise CreatorTimeout(
                    f"region {crew.tier.region!r}: the creator of {len(parts)} keys "
                    f"{slow}"
                ) from None
            return {p.call.key: crew.foreground.serve(p.call, p.found) for p in parts}
        except Exception as error:  # noqa: BLE001 - the creator's own
            for flight in flights.values():
                flight.land(Landed(error=error, traceback=error.__traceback__))
            return {
                p.call.key: crew.foreground.failed(
                    p.call, p.found, error, error.__traceback__
                )
                for p in [*gone, *parts]
            }
        return {p.call.key: m.value for p, m in zip(parts, made, strict=True)}

    def _is_due(self, call: Call, found: Found) -> bool:
        return bool(call.lifetime.early_refresh) and is_due_early(
            found.entry, call.lifetime, self._crew.time.wall()
        )


def _must(found: Found) -> bool:
    """Say whether there is no value to be served meanwhile."""
    return found.freshness in (Freshness.FALLBACK, Freshness.GONE)
