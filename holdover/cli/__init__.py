"""The `holdover` command."""

from __future__ import annotations

try:
    import click
except ModuleNotFoundError:
    raise SystemExit(
        "holdover: the command line needs: pip install 'holdover[cli]'"
    ) from None

from holdover._version import __version__
from holdover.cli.application import Application
from holdover.cli.clearing import invalidate, purge
from holdover.cli.demo import demo
from holdover.cli.doctoring import doctor
from holdover.cli.ending import Commands, note_traceback
from holdover.cli.exits import EXIT_CODES
from holdover.cli.inspecting import inspect
from holdover.cli.schedules import run, schedule
from holdover.cli.stats import stats
from holdover.cli.warm import warm


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="holdover")
@click.option(
    "-A",
    "--app",
    metavar="MODULE[:NAME]",
    envvar="HOLDOVER_APP",
    help="Where the regions are: a registry, a region, a list of them, or a function "
    'that makes one of these. NAME is "registry" if it is left out.',
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE.INI",
    help="An ini file that configures the regions, their schedules and what is warmed.",
)
@click.option(
    "--traceback",
    is_flag=True,
    envvar="HOLDOVER_DEBUG",
    expose_value=False,
    callback=note_traceback,
    help="Show where an error comes from; HOLDOVER_DEBUG=1 does, too.",
)
@click.pass_context
def main(context: click.Context, app: str | None, config: str | None) -> None:
    """Serve the value you have while one worker makes the next one."""
    context.obj = Application(app, config)


for command in (demo, doctor, inspect, invalidate, purge, run, schedule, stats, warm):
    main.add_command(command)
