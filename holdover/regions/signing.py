"""Secrets, and the signatures made with them: who else can write a store cannot forge.

A signature is HMAC-SHA256. Every purpose has a key of its own, derived from the secret,
so that what was signed for one is worth nothing in another.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import field
from typing import NamedTuple

from holdover.regions.encoding import to_bytes
from holdover.regions.errors import ConfigurationError
from holdover.regions.values import frozen

MAC_SIZE = 32  # bytes of a signature
_SHORTEST = 16  # bytes of a secret
_DIGEST = "sha256"
_BLOCK = 64  # bytes that it takes in at a time


@frozen
class Keyring:
    """Secrets, newest first: the first signs, each of them verifies.

    To rotate, put a new secret in front; drop the old one once nothing that it signed
    is of use any more.

    Attributes:
        secrets: At least one, of at least 16 bytes each.
    """

    secrets: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, given: object) -> Keyring | None:
        """Read a setting: a text, bytes, or a list of them; None means unsigned.

        Raises:
            ConfigurationError: It is something else, empty or too short. The message
                does not repeat it.
        """
        if given is None:
            return None
        listed = list(given) if isinstance(given, list | tuple) else [given]
        if not listed:
            raise ConfigurationError("secret is an empty list: it needs one to sign by")
        return cls(tuple(map(_secret, listed)))

    def signer(self, purpose: str, subject: str = "") -> Signer:
        """Make what signs for one *purpose* and, within it, one *subject*.

        Args:
            purpose: What is signed; has no NUL in it.
            subject: Whose it is, such as a region's name.
        """
        label = to_bytes(f"holdover\0{purpose}\0{subject}")
        return Signer([hmac.digest(one, label, _DIGEST) for one in self.secrets])


class _Begun(NamedTuple):
    """HMAC (RFC 2104) up to where the text comes.

    Its two hashes are copied for each text: 0.7 us, where ``hmac.HMAC.copy()`` takes
    1.5 and ``hmac.digest()`` 2.5.
    """

    inner: hashlib._Hash
    outer: hashlib._Hash

    @classmethod
    def of(cls, key: bytes) -> _Begun:
        padded = key.ljust(_BLOCK, b"\0")  # none of ours is longer
        pads = (bytes(byte ^ pad for byte in padded) for pad in (0x36, 0x5C))
        return cls(*map(hashlib.sha256, pads))

    def continued(self, parts: tuple[bytes | memoryview, ...]) -> bytes:
        inner, outer = self.inner.copy(), self.outer.copy()
        for part in parts:
            inner.update(part)
        outer.update(inner.digest())
        return outer.digest()


class Signer:
    """Signs and verifies for one purpose; made by `Keyring.signer`."""

    __slots__ = ("_begun",)

    def __init__(self, keys: list[bytes]) -> None:
        self._begun = [_Begun.of(key) for key in keys]

    def sign(self, *parts: bytes | memoryview) -> bytes:
        """Give the `MAC_SIZE` bytes that prove *parts*, one after the other.

        Where one part ends and the next begins is not proved: fix or state a length.
        """
        return self._begun[0].continued(parts)

    def verify(self, mac: bytes | memoryview, *parts: bytes | memoryview) -> bool:
        """Say whether *mac* proves *parts*, by any of the secrets."""
        for begun in self._begun:
            if hmac.compare_digest(mac, begun.continued(parts)):
                return True
        return False


def _secret(given: object) -> bytes:
    if not isinstance(given, str | bytes):
        raise ConfigurationError(
            "secret must be a text, bytes, or a list of them, newest first; "
            f"got {type(given).__name__}"
        )
    secret = to_bytes(given) if isinstance(given, str) else given
    if len(secret) < _SHORTEST:
        raise ConfigurationError(
            f"a secret must be at least {_SHORTEST} bytes, got {len(secret)}: make one "
            'with python -c "import secrets; print(secrets.token_hex(32))"'
        )
    return secret
