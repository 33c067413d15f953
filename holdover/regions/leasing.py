"""What people ask of a region who read first and write later: the right to do so."""

from __future__ import annotations

from collections.abc import Sequence

from holdover.regions.backends.grants import Lease
from holdover.regions.claims import KeyLease, Looked
from holdover.regions.errors import BackendError
from holdover.regions.freshness import Freshness
from holdover.regions.outcomes import Found
from holdover.regions.reading import ReadableRegion, nothing


class LeasingRegion(ReadableRegion):
    """The part of a region that gives its leases away. See `Region`."""

    def lease(self, key: str, *, strict: bool = False) -> KeyLease | None:
        """Win the right to create *key*, for code that reads first and writes later.

        What it commits is stored only if the key was not set or invalidated since::

            lease = region.lease("report")
            if lease is not None:
                with lease:  # which others may win if this raises
                    lease.commit(make_report())

        Args:
            key: The key.
            strict: Whether to raise if the backend cannot be reached.

        Returns:
            The lease, or None if somebody else creates the key, or if the backend
            cannot be reached.

        Raises:
            BackendError: Only if *strict*.
        """
        call = self._call(key, nothing, None, None, None)
        found = self._entries.look(call.key, call.lifetime, strict=strict)
        if self._creation is None or self._crew is None:
            return None
        grant = self._creation.claim(call, found)
        if isinstance(grant, Lease):
            return KeyLease(self._crew, call, grant)
        if grant is None and strict:
            raise BackendError(f"no lease of {key!r} is to be had")
        return None

    def get_or_lease(self, key: str) -> Looked:
        """Give the value for *key*; if it is stale, one caller the right to replace it.

        All others get the stale value, until that one has committed or released the
        lease, or has died. Where there is no value at all, nobody gets a lease::

            looked = region.get_or_lease("report")
            if looked.lease is not None:
                with looked.lease:  # which others may win if this raises
                    looked.lease.commit(make_report())

        Args:
            key: The key.

        Returns:
            What was found; nothing, if the backend cannot be reached.
        """
        address = self._address(key)
        self._note_read((address,))
        found = self._entries.find(address, self._lifetime)
        return self._looked(key, address, found)

    def get_or_lease_multi(self, keys: Sequence[str]) -> list[Looked]:
        """Do as `get_or_lease` for *keys*, in their order: one read for all.

        Each stale one that is not known to be taken is another step.
        """
        entries = self._entries
        addresses = [self._address(key) for key in keys]
        self._note_read(addresses)
        founds = entries.find_multi(addresses, self._lifetime)
        return [
            self._looked(key, address, found)
            for key, address, found in zip(keys, addresses, founds, strict=True)
        ]

    # -- small steps -----------------------------------------------------------

    def _looked(self, key: str, address: str, found: Found) -> Looked:
        if found.freshness is Freshness.STALE and self._creation and self._crew:
            call = self._call(key, nothing, None, None, None)
            grant = self._creation.lease_stale(call, found)
            if isinstance(grant, Lease):
                self._tell_found(address, found)
                lease = KeyLease(self._crew, call, grant)
                return Looked(found.entry.value, lease=lease)
            found = grant
        serves = found.freshness in (Freshness.FRESH, Freshness.STALE)
        self._tell_found(address, found, ignore_expiration=serves)
        if not serves:
            return Looked()
        return Looked(found.entry.value, is_fresh=found.freshness is Freshness.FRESH)
