"""The cookie that a session travels in, or is found by (RFC 6265bis)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

from holdover import errors

LARGEST_COOKIE = 4096  # bytes of name and value together (RFC 6265bis section 5.6)
LONGEST_COOKIE = 400 * 86_400  # seconds that a browser keeps one (ibidem, section 5.5)

SameSite = Literal["Lax", "Strict", "None"]

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110's token
_LONGEST_NAME = 1024  # characters; there has to be room for a session
_LONGEST_ATTRIBUTE = 1024  # bytes; longer ones are read over (ibidem, section 5.6)
_DOMAIN = re.compile(r"\.?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")
_ATTRIBUTE = re.compile(r"[ -:<-~]+")  # no control character, no ";"
_SITES = ("Lax", "Strict", "None")


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieTerms:
    """How a session's cookie is called and what browsers are told to do with it.

    It is always HttpOnly: no script has business with it.

    Attributes:
        name: Its name.
        domain: To which subdomains too it is sent; None: to its own host only.
        path: Below which path it is sent.
        expires: Seconds for which browsers keep it, or the instant until which they
            do; None: until they are closed.
        secure: Whether it is sent over HTTPS only.
        samesite: Whether it comes along with requests from other sites.
    """

    name: str
    domain: str | None = None
    path: str = "/"
    expires: float | datetime | None = None
    secure: bool = True
    samesite: SameSite = "Lax"

    def __post_init__(self) -> None:
        _check_text("cookie_name", self.name, _NAME, _LONGEST_NAME)
        _check_text("cookie_path", self.path, _ATTRIBUTE, _LONGEST_ATTRIBUTE)
        if self.domain is not None:
            _check_text("cookie_domain", self.domain, _DOMAIN, _LONGEST_ATTRIBUTE)
        if not self.path.startswith("/"):
            raise errors.ConfigurationError(
                f"cookie_path must begin with '/', got {self.path!r}"
            )
        if self.samesite not in _SITES:
            raise errors.ConfigurationError(
                f"samesite must be one of {', '.join(_SITES)}, got {self.samesite!r}"
            )
        self._check_secure()

    def _check_secure(self) -> None:
        """Refuse what browsers would drop without a word."""
        name = self.name.lower()
        if name.startswith("__host-") and (self.domain or self.path != "/"):
            raise errors.ConfigurationError(
                f"a cookie called {self.name!r} may have no cookie_domain, and its "
                "cookie_path is '/': browsers drop others"
            )
        if self.secure:
            return
        if name.startswith(("__host-", "__secure-")):
            raise errors.ConfigurationError(
                f"a cookie called {self.name!r} needs secure=True: browsers drop others"
            )
        if self.samesite == "None":
            raise errors.ConfigurationError(
                "samesite='None' needs secure=True: browsers drop others"
            )

    @property
    def is_lasting(self) -> bool:
        """Whether browsers keep it when they are closed."""
        return self.expires is not None

    def found_in(self, header: str) -> str | None:
        """Give the cookie's value in a Cookie header; None if it is not there.

        Of several, the first counts, which browsers send for the longest path.
        """
        begin = f"{self.name}="
        if begin not in header:
            return None
        for part in header.split(";"):
            pair = part.strip(" \t")
            if pair.startswith(begin):
                return pair[len(begin) :]
        return None

    def set_to(self, value: str) -> str:
        """Give the Set-Cookie header by which browsers keep *value*."""
        return f"{self.name}={value}{self._kept_for()}{self._attributes()}"

    def removed(self) -> str:
        """Give the Set-Cookie header by which browsers forget the cookie."""
        return f"{self.name}=; Max-Age=0{self._attributes()}"

    def _kept_for(self) -> str:
        if self.expires is None:
            return ""
        if isinstance(self.expires, datetime):
            until = self.expires.astimezone(UTC)
            return f"; Expires={format_datetime(until, usegmt=True)}"
        return f"; Max-Age={math.ceil(min(self.expires, LONGEST_COOKIE))}"

    def _attributes(self) -> str:
        domain = f"; Domain={self.domain}" if self.domain else ""
        secure = "; Secure" if self.secure else ""
        return f"{domain}; Path={self.path}; HttpOnly{secure}; SameSite={self.samesite}"


def default_name(*, secure: bool, domain: str | None, path: str) -> str:
    """Name the cookie by the strictest prefix that its attributes allow."""
    if not secure:
        return "session"
    return "__Host-session" if not domain and path == "/" else "__Secure-session"


def _check_text(name: str, value: object, form: re.Pattern[str], longest: int) -> None:
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise errors.ConfigurationError(
            f"{name} cannot stand in a Set-Cookie header: {value!r}"
        )
    if len(value) > longest:
        raise errors.ConfigurationError(
            f"{name} has {len(value)} characters, and browsers take {longest} at most"
        )
