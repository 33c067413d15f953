"""What has to be known of the sessions that Beaker has left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from holdover import errors
from holdover.regions.errors import unknown
from holdover.regions.lifetime import seconds_or_none
from holdover.regions.warnings import warn_caller
from holdover.wsgi.flat_options import SESSION, bare, read_as, types_of
from holdover.wsgi.sessions.beaker_data import BeakerData
from holdover.wsgi.sessions.beaker_files import BeakerDbms, BeakerFiles
from holdover.wsgi.sessions.beaker_moving import (
    BeakerMoving,
    BeakerStore,
    RestingStore,
)
from holdover.wsgi.sessions.cookie import CookieTerms
from holdover.wsgi.sessions.errors import BeakerPickleWarning

_COOKIE = "cookie"
_TYPES = (
    _COOKIE,
    "dbm",
    "ext:database",
    "ext:memcached",
    "ext:redis",
    "ext:sqla",
    "file",
)
# Beaker's options that say nothing of how a session can be found and read.
_IDLE = frozenset({
    "auto", "cookie_expires", "httponly", "id", "invalidate_corrupt", "lock_dir",
    "log_file", "memcache_module", "samesite", "save_accessed_time", "secure",
    "use_cookies", "webtest_varname",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BeakerSessions:
    """Sessions that Beaker has left, for the option ``migrate`` of `SessionMiddleware`.

    A browser that comes without a session of ours, but with Beaker's cookie, keeps what
    is in its session: that is read once, stored under a new id, and removed where it
    was. Signatures are checked before anything is looked at.

    Attributes:
        type: Beaker's: "file", "dbm", "ext:database", "ext:sqla", "ext:redis",
            "ext:memcached" or "cookie".
        url: Beaker's, of a server or database.
        data_dir: Beaker's.
        file_dir: Beaker's, if files are not in *data_dir*.
        dbm_dir: Likewise.
        table_name: Beaker's.
        schema_name: Beaker's.
        key: Beaker's name of the cookie.
        secret: Beaker's, by which ids are signed.
        validate_key: Beaker's, by which cookies are signed.
        encrypt_key: Beaker's, by which sessions are encrypted.
        encrypt_nonce_bits: Beaker's.
        crypto_type: Beaker's; what pycryptodome has encrypted cannot be read.
        data_serializer: "json" or "pickle", as Beaker had it.
        allow_pickle: Whether pickled sessions are read. None of their code is run, and
            only plain data is taken from them.
        leave_out: Names of fields that may get lost. A session with anything else that
            is no plain data is not taken over.
        timeout: Beaker's, in seconds: what was used longer ago is over; None: only the
            timeouts of ours count.
        cookie_domain: Beaker's, so that browsers can be told to forget the cookie.
        cookie_path: Likewise.
    """

    type: str
    url: str | None = field(default=None, repr=False)  # may have a password
    data_dir: str | None = None
    file_dir: str | None = None
    dbm_dir: str | None = None
    table_name: str = "beaker_cache"
    schema_name: str | None = None
    key: str = "beaker.session.id"
    secret: str | None = field(default=None, repr=False)
    validate_key: str | None = field(default=None, repr=False)
    encrypt_key: str | None = field(default=None, repr=False)
    encrypt_nonce_bits: int = 128
    crypto_type: str = "default"
    data_serializer: str = "pickle"
    allow_pickle: bool = False
    leave_out: list[str] | tuple[str, ...] = ()
    timeout: float | timedelta | None = None
    cookie_domain: str | None = None
    cookie_path: str = "/"

    def moving(self) -> BeakerMoving:
        """Check the options, and give what finds the sessions.

        Raises:
            ConfigurationError: One is wrong, or missing; the message names it.
            MissingDependency: A library is not installed that is needed to read them.
        """
        if self.type not in _TYPES:
            raise errors.ConfigurationError(
                f"sessions of Beaker's type {self.type!r} cannot be taken over; known: "
                f"{', '.join(_TYPES)}"
            )
        self._check_keys()
        self._check_serializer()
        return BeakerMoving(
            store=None if self.type == _COOKIE else RestingStore(self._store()),
            cookie=CookieTerms(
                name=self.key,
                domain=self.cookie_domain,
                path=self.cookie_path,
                secure=self.key.lower().startswith("__"),
            ),
            signed_by=self.validate_key if self.type == _COOKIE else self.secret,
            data=BeakerData(
                pickled=self.data_serializer == "pickle",
                encrypt_key=self.encrypt_key or "",
                validate_key=self.validate_key or "",
                nonce_bits=self.encrypt_nonce_bits,
            ),
            leave_out=frozenset(self.leave_out),
            timeout=seconds_or_none(self.timeout, "timeout"),
        )

    def _check_keys(self) -> None:
        if self.validate_key is None and self.type == _COOKIE:
            raise errors.ConfigurationError(
                "Beaker's sessions in cookies are signed: give its validate_key"
            )
        if self.validate_key is None and self.encrypt_key is not None:
            raise errors.ConfigurationError(
                "what Beaker has encrypted needs its validate_key, too"
            )
        for name in ("secret", "validate_key", "encrypt_key"):
            if getattr(self, name) == "":
                raise errors.ConfigurationError(f"{name} is empty: leave it out")
        if self.crypto_type not in {"default", "cryptography"}:
            raise errors.ConfigurationError(
                f"crypto_type={self.crypto_type!r}: what it has encrypted carries no "
                "proof of who wrote it, and is not taken over"
            )

    def _check_serializer(self) -> None:
        if self.data_serializer not in {"json", "pickle"}:
            raise errors.ConfigurationError(
                f"data_serializer must be json or pickle, got {self.data_serializer!r}"
            )
        if self.data_serializer == "json":
            return
        if not self.allow_pickle:
            raise errors.ConfigurationError(
                "Beaker's sessions are pickles unless its data_serializer is 'json'. "
                "If they are, allow_pickle=True reads the plain data that is in them, "
                "and runs nothing"
            )
        warn_caller(
            "sessions that Beaker has pickled are read: whoever could write where "
            "Beaker kept them chooses what is in them; remove migrate as soon as they "
            "have ended",
            BeakerPickleWarning,
        )

    def _store(self) -> BeakerStore:
        if self.type == "file":
            return BeakerFiles(self._folder("file_dir", "container_file"))
        if self.type == "dbm":
            return BeakerDbms(self._folder("dbm_dir", "container_dbm"))
        if not self.url:
            raise errors.ConfigurationError(
                f"Beaker's type {self.type!r} needs its url"
            )
        try:
            return self._server(self.url)
        except ModuleNotFoundError as error:
            extra = (
                "sql" if self.type in {"ext:database", "ext:sqla"} else self.type[4:]
            )
            raise errors.MissingDependency(
                f"sessions of Beaker's type {self.type!r} need {error.name!r}: "
                f"pip install 'holdover[{extra}]'"
            ) from error

    def _server(self, url: str) -> BeakerStore:
        if self.type == "ext:redis":
            from holdover.wsgi.sessions.beaker_redis import BeakerRedis  # noqa: PLC0415

            return BeakerRedis(url)
        if self.type == "ext:memcached":
            from holdover.wsgi.sessions.beaker_memcached import (  # noqa: PLC0415
                BeakerMemcached,
            )

            return BeakerMemcached(url)
        from holdover.wsgi.sessions.beaker_sql import BeakerDatabase  # noqa: PLC0415

        return BeakerDatabase(url, self.table_name, self.schema_name)

    def _folder(self, option: str, below: str) -> Path:
        own = getattr(self, option)
        if own:
            return Path(own)
        if not self.data_dir:
            raise errors.ConfigurationError(
                f"Beaker's type {self.type!r} needs its data_dir, or {option}"
            )
        return Path(self.data_dir) / below


def read_import(config: object) -> BeakerSessions | None:
    """Read what an option ``migrate`` can be: Beaker's own options, in any spelling.

    Raises:
        ConfigurationError: An option is none of Beaker's, or wrong.
    """
    if config is None or isinstance(config, BeakerSessions):
        return config
    if not isinstance(config, Mapping):
        raise errors.ConfigurationError(
            "migrate must be a mapping of Beaker's options, got "
            f"{type(config).__name__}"
        )
    types, found = types_of(BeakerSessions), {}
    for key, value in config.items():
        name = bare(key, SESSION) or str(key)
        if name in _IDLE:
            continue
        if name not in types:
            raise errors.ConfigurationError(unknown("option", key, types))
        found[name] = read_as(types[name], value, str(key))
    if "type" not in found:
        found["type"] = "file" if found.get("data_dir") else "memory"
    return BeakerSessions(**found)
