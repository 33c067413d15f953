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
from holdover.cli.demo import demo
from holdover.cli.schedules import run, schedule
from holdover.cli.stats import stats


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="holdover")
@click.option(
    "-A",
    "--app",
    metavar="MODULE[:NAME]",
    envvar="HOLDOVER_APP",
    help="Where the regions are: a registry, a region or a list of them. NAME is "
    '"registry" if it is left out.',
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE.INI",
    help="An ini file that configures the regions, and their schedules.",
)
@click.pass_context
def main(context: click.Context, app: str | None, config: str | None) -> None:
    """Serve the value you have while one worker makes the next one."""
    context.obj = Application(app, config)


main.add_command(demo)
main.add_command(run)
main.add_command(schedule)
main.add_command(stats)
