"""How one region's values are put into envelopes and taken out again."""

from __future__ import annotations

from dataclasses import dataclass

from holdover.regions.codecs import Codec, PickleCodec
from holdover.regions.compression import Compression
from holdover.regions.envelope import Entry, open_sealed, seal
from holdover.regions.signing import Signer


@dataclass(frozen=True, slots=True)
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
        return self.signer is None and isinstance(self.codec, PickleCodec)

    def seal(self, entry: Entry, key: str) -> bytes:
        """Turn *entry* into the bytes to store under *key*.

        Raises:
            UncacheableValue: The codec cannot encode its value.
        """
        return seal(entry, key, self.codec, self.signer, self.compression)

    def open(self, raw: bytes, key: str) -> Entry:
        """Read back what `seal` made.

        Raises:
            Unreadable: These bytes are no value of this key that may be read here.
        """
        return open_sealed(raw, key, self.codec, self.signer, self.compression)
