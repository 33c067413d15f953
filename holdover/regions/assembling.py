"""From names and URLs to objects: backends, codecs and runners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from dogpile.cache import register_backend
from dogpile.cache.backends import _backend_loader
from dogpile.util import PluginLoader

from holdover.regions import plugins
from holdover.regions.backends.base import Backend
from holdover.regions.codecs import Codec, FunctionCodec, check_tag
from holdover.regions.errors import ConfigurationError, UnknownName
from holdover.regions.events import Listeners
from holdover.regions.ordering import Chain
from holdover.regions.refresh.base import Runner
from holdover.regions.refresh.thread import ThreadRunner
from holdover.regions.sealing import Sealing
from holdover.regions.tier import Tier
from holdover.regions.timesource import TimeSource
from holdover.regions.worker import carry_out

if TYPE_CHECKING:
    from holdover.regions.near import NearTerms

INSTANCE = "holdover.instance"


def is_url(backend: object) -> TypeGuard[str]:
    """Say whether what was given for a backend is a URL."""
    return isinstance(backend, str) and "://" in backend


def build_backend(backend: object, arguments: Mapping[str, Any]) -> Any:
    """Make the backend that *backend* names, or take it as it is.

    Raises:
        UnknownName: Nothing goes by that name; the message lists what does.
        MissingDependency: What it needs is not installed.
        ConfigurationError: Its arguments are wrong.
    """
    if not isinstance(backend, str):
        if not hasattr(backend, "get_mutex"):
            raise ConfigurationError(
                f"backend must be a name or a backend object, got {backend!r}"
            )
        return backend
    if not isinstance(arguments, Mapping):
        raise ConfigurationError(f"arguments must be a mapping, got {arguments!r}")
    make = backend_maker(backend)
    with plugins.advising(f"the backend {backend!r}"):  # dogpile.cache's import so late
        return make(dict(arguments))


def backend_maker(name: str) -> Callable[[dict[str, Any]], Any]:
    """Find what makes the backend *name*: ours, dogpile.cache's or somebody's.

    Raises:
        UnknownName: Nothing goes by that name; the message lists what does.
        MissingDependency: What it needs is not installed.
    """
    if not name.startswith("holdover."):
        try:
            return cast("Callable[..., Any]", _backend_loader.load(name))  # type: ignore[no-untyped-call]
        except PluginLoader.NotFound:
            pass
    known = set(_backend_loader._unloaded) - {INSTANCE}  # noqa: SLF001 - no public list
    try:
        made = plugins.load("backend", name, also_known=known)
    except UnknownName as error:
        # What follows is dogpile.cache's wording, which programs may look for.
        raise UnknownName(
            f"{error} (Couldn't find cache plugin to load: {name})"
        ) from None
    return cast("Callable[..., Any]", made)


def build_codec(
    codec: str | Codec | None,
    backend: Backend,
    serializer: Callable[[Any], bytes] | None,
    deserializer: Callable[[bytes], Any] | None,
) -> Codec | None:
    """Choose how values become bytes; None if they need not.

    Raises:
        UnknownName: No codec goes by that name.
    """
    if codec is None and serializer is not None and deserializer is not None:
        return FunctionCodec(serializer, deserializer)
    if codec is None and backend.capabilities.keeps_objects:
        return None
    if codec is None or isinstance(codec, str):
        name = "pickle" if codec is None else codec
        return cast("Codec", plugins.load("codec", name)())
    if not all(hasattr(codec, part) for part in ("tag", "dumps", "loads")):
        raise ConfigurationError(
            f"codec must be a name, or have tag, dumps and loads; got {codec!r}"
        )
    check_tag(codec)
    return codec


def build_tier(
    backend: Backend,
    region: str,
    sealing: Sealing | None,
    listeners: Listeners,
    time_source: TimeSource,
    *,
    near: NearTerms | None,
    prefix: str,
) -> Tier:
    """Make a region's tier, with a near cache if it is to have one."""
    if near is None:
        return Tier(backend, region, sealing, listeners, time_source)
    from holdover.regions.nearby import NearTier

    return NearTier(
        backend, region, sealing, listeners, time_source, near=near, prefix=prefix
    )


def build_chain(runner: object) -> Chain:
    """Make the chain of runners; behind a queue stand this process's own threads.

    Raises:
        UnknownName: No runner goes by that name.
        MissingDependency: What it needs is not installed.
    """
    wanted = list(runner) if isinstance(runner, list | tuple) else [runner]
    runners = [_runner(one) for one in wanted if one not in (None, "inline")]
    if runners and runners[-1].takes_orders:
        runners.append(ThreadRunner())
    for one in runners:
        one.bind(carry_out)
    return Chain(runners)


def _runner(wanted: object) -> Runner:
    if isinstance(wanted, str):
        return cast("Runner", plugins.load("runner", wanted)())
    if not hasattr(wanted, "submit"):
        raise ConfigurationError(f"runner must be a name or a runner, got {wanted!r}")
    return cast("Runner", wanted)


def _instance(arguments: Mapping[str, Any]) -> Any:
    """Stand for a backend class where dogpile.cache wants the name of one."""
    return arguments["instance"]


register_backend(INSTANCE, __name__, _instance.__name__)  # type: ignore[no-untyped-call]
