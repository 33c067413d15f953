"""The object cache: an application finds its regions in the environ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdover import Registry, errors, registry
from holdover.wsgi.checking import check_middleware
from holdover.wsgi.flat_options import CACHE, bare

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ENVIRON_KEY = "holdover.cache"
BEAKER_KEY = "beaker.cache"


class CacheMiddleware:
    """Puts the region manager, a `holdover.Registry`, into every request's environ.

    ::

        def app(environ, start_response):
            prices = environ["holdover.cache"].region("prices")
            price = prices.get_or_create("tea", fetch_price_of_tea)
            ...

        app = CacheMiddleware(app, {
            "defaults": {"backend": "holdover.memory"},
            "prices": {"expiration_time": 300},
        })

    Requests and responses pass through it untouched, and so do exceptions. Where one
    stands inside another, the application sees the regions of the innermost; give them
    different keys to have both.

    Args:
        app: The application.
        config: A `holdover.Registry`; or the arguments of ``Region.configure()`` by
            region name, "defaults" standing for all that do not say otherwise, or flat
            keys that begin with "cache." (see ``Registry.configure_from_config()``),
            as an ini file has them, from which the middleware makes a registry of its
            own; or None for `holdover.registry`, the one of applications that need
            only one.
        environ_key: Where in the environ the registry is put.
        beaker: Whether to put a `holdover.wsgi.beaker.CacheManager` of the same regions
            into ``environ["beaker.cache"]``. Flat keys are then read as Beaker does,
            for which no region need be named.

    Raises:
        ConfigurationError: An argument is wrong; the message names the region and the
            option.
    """

    def __init__(
        self,
        app: WSGIApplication,
        config: Registry | Mapping[str, Any] | None = None,
        *,
        environ_key: str = ENVIRON_KEY,
        beaker: bool = False,
    ) -> None:
        check_middleware(app, environ_key)
        self._app = app
        self._placed: dict[str, Any]
        if beaker:
            manager = _manager_of(config)
            self._placed = {BEAKER_KEY: manager, environ_key: manager.registry}
        else:
            self._placed = {environ_key: _registry_of(config)}

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request as the application does, which finds its regions."""
        environ.update(self._placed)
        return self._app(environ, start_response)


def _registry_of(config: object) -> Registry:
    """Take a registry as it is; make one from a mapping."""
    if config is None:
        return registry
    if isinstance(config, Registry):
        return config
    if not isinstance(config, Mapping):
        raise errors.ConfigurationError(
            "config must be a holdover.Registry, or a mapping of region names to the "
            f"arguments of their configure(), got {config!r}"
        )
    made = Registry()
    if _is_flat(config):
        made.configure_from_config(config)
    else:
        made.configure(config)
    return made


def _manager_of(config: Any) -> Any:
    """Make a manager for Beaker's users, for whom alone its modules are loaded."""
    manager = import_module("holdover.wsgi.beaker.cache").CacheManager
    if not (isinstance(config, Mapping) and _is_flat(config)):
        return manager.over(_registry_of(config))
    util = import_module("holdover.wsgi.beaker.util")
    return manager(**util.parse_cache_config_options(config))


def _is_flat(config: Mapping[Any, Any]) -> bool:
    return any(
        bare(key, CACHE) is not None and not isinstance(held, Mapping)
        for key, held in config.items()
    )
