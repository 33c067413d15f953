"""Jobs that are there already: for functions, and for what the ORM reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Model, QuerySet

from holdover import errors
from holdover.contrib_django.jobs.base import Job
from holdover.contrib_django.jobs.finding import (
    find_function,
    find_function_for_order,
    named,
)

_Options = Mapping[str, Any] | None


class FunctionJob(Job):
    """Caches what functions return; their methods take the function first.

    Args:
        lifetime: See `Job`, as for the rest; None means as the class has it.
        fetch_on_miss: See there.
        cache_alias: See there.
        task_options: See there.
        set_data_kwarg: See there.
    """

    def __init__(
        self,
        lifetime: float | None = None,
        fetch_on_miss: bool | None = None,  # noqa: FBT001 - as django-cacheback has it
        cache_alias: str | None = None,
        task_options: _Options = None,
        set_data_kwarg: str | None = None,
    ) -> None:
        super().__init__()
        _give(
            self,
            lifetime=None if lifetime is None else int(lifetime),
            fetch_on_miss=fetch_on_miss,
            cache_alias=cache_alias,
            task_options=task_options,
            set_data_kwarg=set_data_kwarg,
        )

    def get_init_kwargs(self) -> dict[str, Any]:
        """See `Job.get_init_kwargs`."""
        return {"lifetime": self.lifetime, "cache_alias": self.cache_alias}

    def prepare_args(self, fn: Callable[..., Any] | str, *args: Any) -> tuple[Any, ...]:
        """Name the function, so that it can be found again."""
        return (fn if isinstance(fn, str) else named(getattr(fn, "fn", fn)), *args)

    def fetch(self, fn_string: str, *args: Any, **kwargs: Any) -> Any:
        """Call the function.

        Raises:
            UnimportableFunction: It cannot be found by its name.
        """
        return find_function(fn_string)(*args, **kwargs)

    def may_travel(self, *args: Any, **kwargs: Any) -> bool:
        """Say whether the function, too, is an application's."""
        try:
            find_function_for_order(args[0])
        except (errors.UnregisteredFunction, IndexError):
            return False
        return super().may_travel(*args, **kwargs)


class QuerySetJob(Job):
    """Caches what the ORM reads of a model.

    Args:
        model: The model.
        lifetime: See `Job`, as for the rest; None means as the class has it.
        fetch_on_miss: See there.
        cache_alias: See there.
        task_options: See there.
    """

    def __init__(
        self,
        model: type[Model],
        lifetime: float | None = None,
        fetch_on_miss: bool | None = None,  # noqa: FBT001 - as above
        cache_alias: str | None = None,
        task_options: _Options = None,
    ) -> None:
        super().__init__()
        self.model = model
        _give(
            self,
            lifetime=lifetime,
            fetch_on_miss=fetch_on_miss,
            cache_alias=cache_alias,
            task_options=task_options,
        )

    def get_init_kwargs(self) -> dict[str, Any]:
        """See `Job.get_init_kwargs`."""
        return {
            "model": self.model,
            "lifetime": self.lifetime,
            "cache_alias": self.cache_alias,
        }

    def key(self, *args: Any, **kwargs: Any) -> str:
        """Give the key, with the model in it."""
        return f"{self.model._meta.label}-{super().key(*args, **kwargs)}"


class QuerySetGetJob(QuerySetJob):
    """Caches the one row that ``get()`` finds."""

    def fetch(self, *args: Any, **kwargs: Any) -> Model:
        """Read the row."""
        return self.model._default_manager.get(*args, **kwargs)


class QuerySetFilterJob(QuerySetJob):
    """Caches the rows that ``filter()`` finds, as a query set that was evaluated."""

    def fetch(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Read the rows."""
        return self.model._default_manager.filter(*args, **kwargs)


def _give(job: Job, **attributes: Any) -> None:
    """Set what is given; the rest is as the class has it."""
    for name, value in attributes.items():
        if value is not None:
            setattr(job, name, value)
