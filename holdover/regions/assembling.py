"""From what a user wrote in ``configure()`` to checked values and objects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from dogpile.cache import register_backend
from dogpile.cache.backends import _backend_loader
from dogpile.util import PluginLoader

from holdover.regions import plugins
from holdover.regions.backends.base import Backend, positive
from holdover.regions.codecs import Codec, FunctionCodec, check_tag
from holdover.regions.compression import Compression
from holdover.regions.contexts import Contexts, OrderContext
from holdover.regions.errors import ConfigurationError, UnknownName, unknown
from holdover.regions.keys import schema_of
from holdover.regions.lifetime import (
    DEFAULT_BACKOFF,
    DEFAULT_MOST_UNLEASED,
    CreatorTerms,
    LeaseTerms,
    Lifetime,
    OrderTerms,
    seconds_or_none,
)
from holdover.regions.near import NearTerms
from holdover.regions.ordering import Chain
from holdover.regions.refresh.base import Runner
from holdover.regions.refresh.thread import ThreadRunner
from holdover.regions.signing import Keyring
from holdover.regions.task_options import checked
from holdover.regions.terms import Terms
from holdover.regions.worker import carry_out

T = TypeVar("T")

INSTANCE = "holdover.instance"
_IN_PARTS: dict[str, type] = {"lease": LeaseTerms, "orders": OrderTerms}
DEFAULT_NEAR_ENTRIES = 1000
_MOST_HOT = 10_000
_LIFETIME_NAMES = (
    "stale_while_revalidate",
    "stale_if_error",
    "keep_for",
    "jitter",
    "early_refresh",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What ``configure()`` takes besides the backend.

    Attributes:
        lifetime: How long values may be served.
        codec: A name ("pickle", "json", "msgpack") or a codec; None means the backend's
            own way: objects in memory, pickle elsewhere.
        lease: How long creators are waited for.
        runner: Who refreshes stale values: None or "inline" (the caller who finds
            one), "thread", "celery", a runner, or a list to be tried in turn.
        on_miss: What a caller without a value gets: "wait" (the value, created now) or
            "empty" (a stand-in at once, while a runner creates it).
        on_timeout: What a caller gets whose wait is over: "create" (a value of his
            own, not stored) or "raise" (`LeaseTimeout`).
        creator_timeout: Seconds after which a caller no longer waits for the creator
            that runs for him; see `CreatorTerms`.
        soft_creator_timeout: The same for callers who have an old value.
        backoff: Seconds for which a creator that has failed is left alone.
        backoff_when_gone: Whether that holds without an old value, too.
        most_unleased_creators: How many creators may run at once in this process while
            the backend cannot be reached.
        secret: Signs what is stored, and only what is signed is read: a text or bytes,
            at least 16 bytes long, or a list of them, newest first, of which the first
            signs and all verify. None means unsigned.
        compress: True, "zstd", "zlib", a `Compression` or a mapping of its options;
            None or False means uncompressed. What was compressed is read anyway.
        schema: An int or a text that becomes part of every key: change it with the
            shape of the values, and releases that run side by side leave each other's
            alone.
        orders: How many refreshes are ordered, and when one is not worth carrying out.
        task_options: How orders travel, for the queue that takes them.
        order_context: What orders take along from whoever orders to the creator, by
            name.
        unsigned_pickle: Whether unsigned pickles in a store that is reached over a
            network are meant, and no warning is wanted.
        near_ttl: Seconds for which a value that was read from the backend is served
            from this process without asking again; None means that it always is asked.
        near_entries: How many values are kept so at most.
        figures_every: Seconds after which each process that uses the region writes its
            figures to the backend, again and again; None means never.
        history_backend: Where the last runs of schedules are kept: the name of a
            backend, its URL, or a backend. None means beside the values, if nothing is
            evicted there.
        history_codec: How they are kept there, as *codec*; None means as values are.
        record_hot: How many of the calls that are asked for most are recorded, there
            too, for warming; None means none.
    """

    lifetime: Lifetime = field(default_factory=Lifetime)
    codec: str | Codec | None = None
    lease: LeaseTerms = field(default_factory=LeaseTerms)
    runner: object = None
    on_miss: str = "wait"
    on_timeout: str = "create"
    creator_timeout: float | None = None
    soft_creator_timeout: float | None = None
    backoff: float = DEFAULT_BACKOFF
    backoff_when_gone: bool = False
    most_unleased_creators: int = DEFAULT_MOST_UNLEASED
    secret: str | bytes | Sequence[str | bytes] | None = field(default=None, repr=False)
    compress: bool | str | Compression | None = None
    schema: int | str | None = None
    orders: OrderTerms = field(default_factory=OrderTerms)
    task_options: Mapping[str, Any] | None = None
    order_context: Mapping[str, OrderContext] | None = None
    unsigned_pickle: bool = False
    near_ttl: float | None = None
    near_entries: int = DEFAULT_NEAR_ENTRIES
    figures_every: float | None = None
    history_backend: str | Backend | None = field(default=None, repr=False)
    history_codec: str | Codec | None = None
    record_hot: int | None = None

    def __post_init__(self) -> None:
        plugins.check_choice("on_miss", self.on_miss, ("wait", "empty"))
        for name, kind in _IN_PARTS.items():
            if not isinstance(getattr(self, name), kind):
                raise ConfigurationError(
                    f"{name} must be {kind.__name__} or a mapping of them, got "
                    f"{getattr(self, name)!r}"
                )
        plugins.check_choice("on_timeout", self.on_timeout, ("create", "raise"))
        _ = self.terms  # wrong ones are told at once
        if not isinstance(self.unsigned_pickle, bool):
            raise ConfigurationError(
                f"unsigned_pickle must be True or False, got {self.unsigned_pickle!r}"
            )
        for name in ("near_ttl", "figures_every"):
            span = seconds_or_none(getattr(self, name), name)
            object.__setattr__(self, name, span)
        positive({"near_entries": self.near_entries}, "near_entries", 1)
        given: object = self.history_backend
        if given is not None and not isinstance(given, str | Backend):
            raise ConfigurationError(
                "history_backend must be a name, a URL or one of Holdover's backends, "
                f"got a {type(given).__qualname__}"
            )
        _check_record_hot(self.record_hot)
        Keyring.of(self.secret)
        Compression.of(self.compress)
        schema_of(self.schema)
        if self.on_miss == "empty" and self.runner in (None, "inline", [], ()):
            raise ConfigurationError(
                'on_miss="empty" needs a runner to create the value meanwhile: '
                'runner="thread" or "celery"'
            )

    @property
    def terms(self) -> Terms:
        """What the region's crew works by."""
        return Terms(
            lease=self.lease,
            creator=self.creator_terms,
            orders=self.orders,
            task_options=checked(self.task_options),
            contexts=Contexts(self.order_context),
        )

    @property
    def creator_terms(self) -> CreatorTerms:
        """What callers put up with from a creator that is slow or fails."""
        return CreatorTerms(
            timeout=self.creator_timeout,
            soft_timeout=self.soft_creator_timeout,
            backoff=self.backoff,
            backoff_when_gone=self.backoff_when_gone,
            most_unleased=self.most_unleased_creators,
        )

    @property
    def near(self) -> NearTerms | None:
        """What a near cache is to keep; None without one."""
        if self.near_ttl is None:
            return None
        return NearTerms(self.near_ttl, self.near_entries)

    @classmethod
    def of(
        cls, expiration_time: object, given: Mapping[str, Any], backend: object = None
    ) -> Settings:
        """Read the keyword arguments of ``configure()``.

        Args:
            expiration_time: Seconds, a ``timedelta``, or None.
            given: All others.
            backend: What was named as the backend, whose arguments are none of these.

        Raises:
            ConfigurationError: One is unknown or wrong.
        """
        known = {one.name for one in fields(cls)} | set(_LIFETIME_NAMES)
        known.discard("lifetime")
        for name in given:
            if name not in known:
                known.update(_misplaced(name, backend))
                raise ConfigurationError(unknown("option", name, known))
        rest = dict(given)
        spans = {name: rest.pop(name) for name in _LIFETIME_NAMES if name in rest}
        lifetime = Lifetime(
            expiration_time=seconds_or_none(expiration_time, "expiration_time"), **spans
        )
        for name, kind in _IN_PARTS.items():
            if isinstance(rest.get(name), Mapping):
                rest[name] = _in_parts(name, kind, rest[name])
        return cls(lifetime=lifetime, **rest)


def _check_record_hot(given: object) -> None:
    is_count = isinstance(given, int) and not isinstance(given, bool)
    if given is not None and not (is_count and 0 < given <= _MOST_HOT):  # type: ignore[operator]
        raise ConfigurationError(
            f"record_hot must be an int from 1 to {_MOST_HOT}, got {given!r:.80}"
        )


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


def _misplaced(name: str, backend: object) -> list[str]:
    """Say where an unknown option belongs, if it is an argument of the backend."""
    known: Collection[str] = ()
    if isinstance(backend, str):
        with suppress(ConfigurationError):  # which will be raised where it matters
            known = getattr(backend_maker(backend), "known_arguments", ())
    return [f"arguments.{name}"] if name in known else []


def _in_parts(name: str, kind: type[T], given: Mapping[str, Any]) -> T:
    known = {f"{name}.{one.name}" for one in fields(cast("Any", kind))}
    for part in given:
        if f"{name}.{part}" not in known:
            raise ConfigurationError(unknown("option", f"{name}.{part}", known))
    return kind(**given)


def _instance(arguments: Mapping[str, Any]) -> Any:
    """Stand for a backend class where dogpile.cache wants the name of one."""
    return arguments["instance"]


register_backend(INSTANCE, __name__, _instance.__name__)  # type: ignore[no-untyped-call]
