"""What surrounds the table of `holdover.sql`, for operators."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import URL

from holdover.regions.backends import sql_drivers as drivers
from holdover.regions.backends.host_health import diagnose_file
from holdover.regions.backends.sql_leases import LeasesInSql
from holdover.regions.findings import Finding


class HealthOfSql(LeasesInSql):
    """The part of the backend that tells where it is, and how."""

    _url: URL

    def place(self) -> str:
        """See `Backend.place`."""
        path = drivers.path_of(self._url)
        shown = self._url.set(username=None, password=None, query={})
        return f"{path or shown.render_as_string()} {self._words.table}"

    def server_time(self) -> float | None:
        """See `Backend.server_time`."""
        if self._link.is_local:
            return None
        return float(self._link.ask(self._words.now)[0])

    def diagnose(self, *, lasting: bool) -> Iterable[Finding]:
        """See `Backend.diagnose`."""
        path = drivers.path_of(self._url)
        return () if path is None else diagnose_file(path)
