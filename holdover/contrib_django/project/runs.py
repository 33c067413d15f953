"""The runs of schedules, in a table of the project's database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from holdover import KeptRun, Run, RunStore, errors
from holdover.contrib_django.models import ScheduleRun
from holdover.contrib_django.project.secrets import secrets_of_django
from holdover.regions.previews import preview

_SHOWN = 1000  # characters of a value


class DatabaseRuns(RunStore):
    """Keeps the runs of schedules in the model `ScheduleRun`.

    It is what AppConfig uses, unless ``HOLDOVER["history"]`` says otherwise; for a
    region of its own it goes into ``history_backend``.

    Args:
        using: An alias in DATABASES; None means where DATABASE_ROUTERS have the model
            written.
    """

    def __init__(self, using: str | None = None) -> None:
        self._using = using

    @property
    def secret(self) -> tuple[str, ...]:
        """Those of Django's, for regions that have none of their own."""
        return secrets_of_django()

    def place(self) -> str:
        """Give the alias."""
        return self._alias()

    def add(self, run: Run, payload: bytes | None, keep: int) -> None:
        """See `RunStore.add`."""
        # In a caller's transaction this is a savepoint, which its failure spares.
        with _as_ours(), transaction.atomic(using=self._alias()):
            self._rows().create(**_row_of(run), payload=payload)
            self._forget(self._of(run.region, run.name), keep)

    def newest(self, region: str, name: str) -> bytes | None:
        """See `RunStore.newest`."""
        with _as_ours(), self._reading():
            payloads = _good(self._of(region, name)).values_list("payload", flat=True)
            payload = payloads.first()
        return None if payload is None else bytes(payload)

    def runs(self, region: str, name: str) -> list[KeptRun]:
        """See `RunStore.runs`."""
        with _as_ours(), self._reading():
            return [_kept(row) for row in self._of(region, name)]

    def check(self) -> None:
        """See `RunStore.check`: a row is written, and taken back."""
        now = dt.datetime.now(dt.UTC).timestamp()
        probe = Run(region="", name="%doctor", slot_at=now, begun_at=now, duration=0.0)
        with _as_ours(), transaction.atomic(using=self._alias()):
            self._rows().create(**_row_of(probe)).delete()

    def needs_this_thread(self) -> bool:
        """See `RunStore.needs_this_thread`."""
        with _as_ours():
            return bool(connections[self._alias()].in_atomic_block)

    # -- small steps -----------------------------------------------------------

    def _alias(self) -> str:
        return self._using or str(router.db_for_write(ScheduleRun))

    def _rows(self) -> QuerySet:
        # What is to be read may just have been written, and no replica has it yet.
        return ScheduleRun.objects.using(self._alias())

    def _of(self, region: str, name: str) -> QuerySet:
        return self._rows().filter(region=region, name=name).order_by("-id")

    def _forget(self, rows: QuerySet, keep: int) -> None:
        """Delete what is beyond the last *keep*, but for the newest good one."""
        ids = list(rows.values_list("id", flat=True)[keep:])
        if not ids:
            return
        newest = _good(rows).values_list("id", flat=True).first()
        self._rows().filter(id__in=[one for one in ids if one != newest]).delete()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Have a failure, such as of a missing table, spare a caller's transaction."""
        if not connections[self._alias()].in_atomic_block:
            yield
            return
        with transaction.atomic(using=self._alias()):
            yield


@contextmanager
def _as_ours() -> Iterator[None]:
    """Have whatever a database, its driver or a router raises be a `BackendError`."""
    try:
        yield
    except SynchronousOnlyOperation:  # a mistake of the caller's, who can mend it
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise errors.BackendError(
            f"the table {_table()}: {type(error).__name__}: {said} "
            "(manage.py migrate makes it)"
        ) from error


def _table() -> str:
    return str(ScheduleRun._meta.db_table)


def _good(rows: QuerySet) -> QuerySet:
    return rows.filter(outcome=ScheduleRun.Outcome.OK, payload__isnull=False)


def _row_of(run: Run) -> dict[str, object]:
    outcomes = ScheduleRun.Outcome
    return {
        "region": run.region,
        "name": run.name,
        "due_at": _moment(run.slot_at),
        "started_at": _moment(run.begun_at),
        "ended_at": _moment(run.begun_at + run.duration),
        "outcome": outcomes.FAILED if run.has_failed else outcomes.OK,
        "value": _text(preview(run.value, _SHOWN)) if run.has_value else "",
        "error": _text(run.error),
        "details": _text(run.details),
    }


def _kept(row: ScheduleRun) -> KeptRun:
    run = Run(
        region=row.region,
        name=row.name,
        slot_at=_instant(row.due_at),
        begun_at=_instant(row.started_at),
        duration=(row.ended_at - row.started_at).total_seconds(),
        error=row.error,
        details=row.details,
    )
    return KeptRun(run, None if row.payload is None else bytes(row.payload))


def _moment(at: float) -> dt.datetime:
    """Give an instant as Django writes it, with or without USE_TZ."""
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    return moment if settings.USE_TZ else timezone.make_naive(moment)


def _instant(moment: dt.datetime) -> float:
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
    return moment.timestamp()


def _text(text: str) -> str:
    r"""Write ``\0`` as its escape, and lone surrogates: PostgreSQL takes neither."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()
