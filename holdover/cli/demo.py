"""`holdover demo`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from holdover.cli.exits import CannotBegin, OutOfReach

_DEMO_NEEDS = ("celery", "matplotlib", "rich", "waitress")


@click.command()
@click.option("--quick", is_flag=True, help="Take at most 20 s instead of 60.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("holdover-demo"),
    show_default=True,
    help="The folder for the plots.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the figures as one JSON object on the last line; the rest goes to "
    "standard error.",
)
@click.option("--serve", is_flag=True, help="Leave the Holdover site up until Ctrl-C.")
@click.option("--check", is_flag=True, help="Fail if an expectation did not hold.")
@click.option(
    "--backend",
    metavar="file|memory|URL",
    default="file",
    show_default=True,
    help="Where Holdover keeps its values; with a URL such as "
    "redis://localhost:6379/0, where all caches do that can.",
)
@click.option(
    "--broker",
    metavar="URL",
    help="A Redis or RabbitMQ server by which separate Celery workers get the "
    "refreshes, such as redis://localhost:6379/0.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 32),
    help="How many workers the broker serves.  [default: 1]",
)
def demo(
    *, backend: str, broker: str | None, workers: int | None, **chosen: Any
) -> None:
    """Search Python's source under load: with no cache, two others, and Holdover."""
    for library in _DEMO_NEEDS:
        if find_spec(library) is None:
            raise CannotBegin(
                f"the demonstration needs {library}: pip install 'holdover[demo]'"
            )
    from holdover.demo.errors import DemoError, Unreachable, WrongOption
    from holdover.demo.means import Means
    from holdover.demo.run import Options, run

    try:
        means = Means.of(backend, broker, workers)
        status = run(Options(means=means, **chosen))
    except WrongOption as error:
        raise CannotBegin(str(error)) from error
    except Unreachable as error:
        raise OutOfReach(str(error)) from error
    except (DemoError, OSError) as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(status)
