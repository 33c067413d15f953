"""How one region's values are put into envelopes and taken out again."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, NamedTuple

from holdover.regions.codecs import Codec, PickleCodec, written_by
from holdover.regions.compression import Compression
from holdover.regions.decoding import Unreadable, decoded
from holdover.regions.envelope import (
    Entry,
    open_sealed,
    plain_payload,
    seal,
)
from holdover.regions.signing import Signer
from holdover.regions.values import frozen

LARGEST = 2048  # bytes of what is remembered
_MOST = 1024  # values of a region that are: 2 MiB at worst


@frozen
class Sealing:
    """A codec, and what is done to its payloads.

    Attributes:
        codec: How values become bytes.
        signer: Signs envelopes, and reads only signed ones; None means unsigned ones.
        compression: How payloads are made smaller; None leaves them as they are.
    """

    codec: Codec
    signer: Signer | None = None
    compression: Compression | None = None

    @property
    def is_unsigned_pickle(self) -> bool:
        """Whether whoever can write to the store can have this process run code."""
        codec = self.codec
        # By its tag, too: another codec may stand before one that pickles.
        pickles = isinstance(codec, PickleCodec) or codec.tag == PickleCodec.tag
        return self.signer is None and pickles

    def seal(self, entry: Entry, key: str) -> bytes | Entry:
        """Turn *entry* into what is to be stored under *key*.

        Raises:
            UncacheableValue: The codec cannot encode its value.
        """
        return seal(entry, key, self.codec, self.signer, self.compression)

    def open(self, raw: bytes | Entry, key: str) -> Entry:
        """Read back what `seal` made.

        Raises:
            Unreadable: This is no value of this key that may be read here.
        """
        if isinstance(raw, Entry):  # in memory, of a region that keeps objects
            if type(raw.value) is Written:
                raise Unreadable("written by a codec, and in no envelope")
            return raw
        return open_sealed(raw, key, self.codec, self.signer, self.compression)

    has_familiar: ClassVar[bool] = False  # whether `familiar_payload` ever gives one

    def familiar_payload(self, raw: bytes | Entry | None) -> memoryview | None:
        """Give the part of *raw* that is the value, if that is worth remembering.

        None also if more than the codec made it.
        """
        del raw
        return None


class Opened(NamedTuple):
    """An envelope that was opened, but for its value.

    Attributes:
        raw: The bytes.
        payload: The part of them that is the value.
        rest: What else an entry is made of.
    """

    raw: bytes
    payload: memoryview
    rest: tuple[Any, ...]


@frozen
class Remembering(Sealing):
    """Checks the same bytes of the same key once: 1.6 us less, of 4 in `get_multi()`.

    Only small values are remembered, of which checking is the greater part.
    """

    has_familiar: ClassVar[bool] = True
    opened: dict[str, Opened] = field(default_factory=dict, repr=False, compare=False)

    def familiar_payload(self, raw: bytes | Entry | None) -> memoryview | None:
        """See `Sealing.familiar_payload`."""
        if type(raw) is bytes and len(raw) <= LARGEST:
            return plain_payload(raw)
        return None

    def open(self, raw: bytes | Entry, key: str) -> Entry:
        """See `Sealing.open`."""
        known = self.opened.get(key)
        if known is None or known.raw != raw:
            return self._open_first(raw, key)
        return Entry(decoded(self.codec, known.payload), *known.rest)

    def _open_first(self, raw: bytes | Entry, key: str) -> Entry:
        entry = Sealing.open(self, raw, key)
        payload = self.familiar_payload(raw)
        if type(raw) is bytes and payload is not None:
            if len(self.opened) >= _MOST:
                self.opened.clear()
            self.opened[key] = Opened(raw, payload, _without_value(entry))
        return entry


@frozen
class Written:
    """A value as a codec has written it.

    Attributes:
        payload: The bytes, as codecs read them.
        tag: The codec's.
    """

    payload: memoryview
    tag: bytes


@frozen
class Copying(Sealing):
    """Gives every reader a copy of his own, where nobody but this process can write.

    What a codec has written stays in its entry: there is nothing to check.
    """

    has_familiar: ClassVar[bool] = True

    def familiar_payload(self, raw: bytes | Entry | None) -> memoryview | None:
        """See `Sealing.familiar_payload`."""
        written = raw.value if type(raw) is Entry else None
        if type(written) is Written and len(written.payload) <= LARGEST:
            return written.payload
        return None

    def seal(self, entry: Entry, key: str) -> Entry:
        """See `Sealing.seal`."""
        codec = self.codec
        payload = memoryview(written_by(codec, entry.value))
        return _with(entry, Written(payload, codec.tag))

    def open(self, raw: bytes | Entry, key: str) -> Entry:
        """See `Sealing.open`."""
        if not isinstance(raw, Entry):
            return Sealing.open(self, raw, key)
        written = raw.value
        if type(written) is not Written or written.tag != self.codec.tag:
            raise Unreadable("written by another codec")
        return _with(raw, decoded(self.codec, written.payload))


def _with(entry: Entry, value: object) -> Entry:
    """Do as `dataclasses.replace`, which takes longer than all the rest of a hit."""
    return Entry(value, *_without_value(entry))


def _without_value(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.created_at,
        entry.kept_until,
        entry.fence,
        entry.clock,
        entry.cost,
        entry.lifetime,
        entry.tags,
        entry.expired,
    )
