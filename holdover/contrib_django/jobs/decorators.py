"""The decorator for functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

from holdover.contrib_django.jobs.base import Job
from holdover.contrib_django.jobs.jobs import FunctionJob

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)


class Cachebacked(Protocol, Generic[P, T_co]):
    """What ``@cacheback()`` makes of a function.

    Attributes:
        fn: The function as it was written.
        job: Its job, whose methods take the function first.
    """

    fn: Callable[..., Any]
    job: Job

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Give the kept value, or what `Job.get` gives without one."""


class Decorator(Protocol):
    """What ``cacheback()`` returns."""

    def __call__(self, fn: Callable[P, T_co], /) -> Cachebacked[P, T_co]:
        """Take the place of the function."""


def cacheback(
    lifetime: float | None = None,
    fetch_on_miss: bool | None = None,  # noqa: FBT001 - as django-cacheback has it
    cache_alias: str | None = None,
    job_class: type[Job] | None = None,
    task_options: Mapping[str, Any] | None = None,
    **job_class_kwargs: Any,
) -> Decorator:
    """Keep what a function returns, and have a worker keep it fresh.

    It may stand in a line, too: ``cacheback(900, fetch_on_miss=False)(fetch)(x)``.
    Functions at the top of a module in an installed application are refreshed by a
    worker, all others by threads of this process.

    Args:
        lifetime: See `Job`, as for the next two and *task_options*.
        fetch_on_miss: See there.
        cache_alias: See there.
        job_class: Made with all these; None means `FunctionJob`.
        task_options: See there.
        **job_class_kwargs: More for *job_class*.
    """
    job: Any = (job_class or FunctionJob)(
        lifetime=lifetime,  # type: ignore[call-arg] # of FunctionJob and its like
        fetch_on_miss=fetch_on_miss,
        cache_alias=cache_alias,
        task_options=task_options,
        **job_class_kwargs,
    )

    def decorate(fn: Callable[..., Any]) -> Any:
        @wraps(fn)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return job.get(fn, *args, **kwargs)

        cast("Any", wrapper).fn = fn
        cast("Any", wrapper).job = job
        return wrapper

    return cast("Decorator", decorate)
