"""What stands between a region's values and whoever else can reach their store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dogpile.cache.backends.memory import MemoryBackend
from dogpile.cache.backends.null import NullBackend

from holdover.regions.assembling import build_codec
from holdover.regions.backends.base import Backend
from holdover.regions.codecs import Codec
from holdover.regions.compression import Compression
from holdover.regions.errors import ConfigurationError, UnsignedPickleWarning
from holdover.regions.run_store import RunStore
from holdover.regions.sealing import Copying, Remembering, Sealing
from holdover.regions.settings import Settings
from holdover.regions.signing import Keyring
from holdover.regions.warnings import warn_caller

_PURPOSE = "envelope"
_IN_PROCESS = (MemoryBackend, NullBackend)  # dogpile.cache's, for tests mostly


def build_sealing(
    rules: Settings,
    backend: Backend,
    region: str,
    serializer: Callable[[Any], bytes] | None,
    deserializer: Callable[[bytes], Any] | None,
) -> Sealing | None:
    """Choose how values become bytes; None if they need not.

    Raises:
        UnknownName: No codec goes by that name.
        ConfigurationError: The codec, the secret or the compression is none.
    """
    codec = build_codec(rules.codec, backend, serializer, deserializer)
    if codec is None:
        return None
    is_plain = rules.secret is None and Compression.of(rules.compress) is None
    if is_plain and backend.capabilities.keeps_objects:
        return Copying(codec)
    return sealing_with(codec, rules, region)


def sealing_with(codec: Codec, rules: Settings, region: str) -> Sealing:
    """Have values become bytes by *codec*, whatever keeps them.

    Raises:
        ConfigurationError: The secret or the compression is none.
    """
    keyring = Keyring.of(rules.secret)
    signer = None if keyring is None else keyring.signer(_PURPOSE, region)
    return Remembering(codec, signer, Compression.of(rules.compress))


def unpickles_unsigned(sealing: Sealing | None, backend: Backend | RunStore) -> bool:
    """Say whether unsigned pickles come over a network."""
    is_unsigned = sealing is not None and sealing.is_unsigned_pickle
    return is_unsigned and _is_for_a_fleet(backend)


def warn_of_pickle(
    sealing: Sealing | None, backend: Backend | RunStore, region: str | None
) -> bool:
    """Warn of unsigned pickles that come over a network; say whether it was needed."""
    if not unpickles_unsigned(sealing, backend):
        return False
    warn_caller(
        f"region {region!r} unpickles what {type(backend).__name__} holds, unsigned: "
        "whoever can write there can run code in this process. Set secret=..., or "
        'codec="msgpack" or "json"; unsigned_pickle=True says that nobody else can',
        UnsignedPickleWarning,
    )
    return True


def _is_for_a_fleet(backend: Backend | RunStore) -> bool:
    """Say whether others than this host's can write there, as far as anybody knows."""
    return isinstance(backend, RunStore) or backend.capabilities.shared_by == "fleet"


def refuse_misfits(rules: Settings, name: str | None, backend: Any) -> None:
    """Refuse settings of the region *name* that its backend cannot live up to.

    Raises:
        ConfigurationError: It names the setting, and says why.
    """
    _refuse_unkept(rules, backend)
    _refuse_near(rules, backend)
    _refuse_hot(rules, name, backend)


def _refuse_unkept(rules: Settings, backend: Any) -> None:
    """Refuse a promise that dogpile.cache's own backends cannot keep.

    Its stores within the process are let pass: there is nobody to guard against.

    Raises:
        ConfigurationError: It names the setting.
    """
    while hasattr(backend, "proxied"):
        backend = backend.proxied
    if isinstance(backend, (Backend, *_IN_PROCESS)):
        return
    for name in ("secret", "schema"):
        if getattr(rules, name) is not None:
            raise ConfigurationError(
                f"{name} needs a backend of Holdover, and {type(backend).__name__} "
                "stores as dogpile.cache does"
            )


def _refuse_hot(rules: Settings, name: str | None, backend: Any) -> None:
    """Refuse to record hot calls where nobody could keep or find them."""
    if rules.record_hot is None:
        return
    if not isinstance(backend, Backend):
        raise ConfigurationError(
            "record_hot needs a backend of Holdover's, without proxies, and not a "
            f"{type(backend).__name__}"
        )
    if name is None:
        raise ConfigurationError("record_hot needs a region with a name")


def _refuse_near(rules: Settings, backend: Any) -> None:
    """Refuse a near cache where it would be of no use, or could not be kept right.

    Raises:
        ConfigurationError: It says why.
    """
    if rules.near_ttl is None:
        return
    kind = type(backend).__name__
    if not isinstance(backend, Backend):
        raise ConfigurationError(
            "near_ttl needs a backend of Holdover, without proxies: nobody would tell "
            f"the near cache of what {kind} changes"
        )
    keeps_nothing = backend.capabilities.clock == "none"  # caching is switched off
    if backend.capabilities.shared_by == "process" and not keeps_nothing:
        raise ConfigurationError(
            "near_ttl is for backends outside of this process, and what "
            f"{kind} keeps is in it already: leave near_ttl out"
        )
