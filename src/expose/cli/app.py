"""The commands of ``expose``, gathered. Each is imported when it is used, and imports what it needs when it runs.

Whoever registers a kind of samples or an objective of their own calls `expose.cli.main` after it, and has all commands
for it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from expose.cli.session import Session
from expose.errors import MissingExtraError

LABORATORY = "expose_lab"
HELP = """Find anomalies in data nobody has cleaned.

Train on data as they are, anomalies included; get the suspects ranked, and score new data.
"""
EPILOG = """\b
Examples:
  expose demo
  expose fit transactions.parquet --id account --out model/
  expose score model/ new.csv --out scores.parquet
  expose report model/ new.csv --out report.html

Exit codes: 0 done; 1 a bug in expose; 2 the command, the data or the disk needs a repair, the message says
which; 3 the model folder was refused; 4 the data have moved, of score with --fail-on-drift;
130 interrupted by Ctrl-C; 141 nobody reads stdout any more.
"""


class Command(NamedTuple):
    """Where a command is, ``module:name``, and what it does in a few words."""

    home: str
    summary: str


COMMANDS = {
    "fit": Command("expose.cli.fit:fit", "Train on DATA as they are, anomalies included, and list their suspects."),
    "classify": Command(
        "expose.cli.classify:classify", "Train a classifier that doubts what it does not know, best with --outliers."
    ),
    "score": Command("expose.cli.score:score", "Score the rows or photos of DATA with MODEL."),
    "query": Command("expose.cli.query:query", "Choose the rows or photos of DATA whose labels MODEL needs most."),
    "review": Command(
        "expose.cli.review:review", "Look at suspects of DATA in the browser, label them, let MODEL learn."
    ),
    "serve": Command("expose.cli.serve:serve", "Answer requests for scores over HTTP, with MODEL."),
    "report": Command("expose.cli.report:report", "Write an HTML page about MODEL and DATA."),
    "export": Command("expose.cli.export:export", "Write MODEL as an ONNX file, for places without Python."),
    "demo": Command("expose.cli.demo:demo", "Run all of it on a table that ships in the package."),
    "bench": Command(f"{LABORATORY}.cli.bench:bench", "Measure detectors on contaminated data sets."),
    "data": Command(f"{LABORATORY}.cli.data:data", "List, fetch and find the data sets of the benchmark."),
}


class Commands(TyperGroup):
    """Lists all commands without importing one."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # names alone, to be listed and suggested

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, imported now; None if there is no such."""
        return command_of(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write names and summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in COMMANDS.items()])


def command_of(name: str) -> Any:
    """Import a command; what ships without its package says how to get it."""
    module, attribute = COMMANDS[name].home.split(":")
    try:
        home = import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != LABORATORY:
            raise
        return plain_command(name, absent, ignore_unknown_options=True, allow_extra_args=True)
    found = getattr(home, attribute)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name, group.help, group.epilog = name, home.HELP, home.EXAMPLES
        return group
    return plain_command(name, found, home.EXAMPLES)


def plain_command(name: str, run: Callable[..., None], examples: str | None = None, **settings: Any) -> Any:
    """A command of a function with typer's annotations."""
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(name, epilog=examples, context_settings=settings or None)(run)
    return get_command(single)


def absent() -> None:
    """Not installed."""
    with Session():
        raise MissingExtraError("The benchmark is not installed. Get it with: pip install 'expose[bench]'")


app = typer.Typer(
    name="expose",
    cls=Commands,
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help comes up in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"expose {version('expose')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and stop."),
    ] = False,
) -> None:
    """Find anomalies in data nobody has cleaned."""
