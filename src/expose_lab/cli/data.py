"""``expose data``: the data sets of the benchmark, listed, fetched and found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.text import aligned, count, percent
from expose.errors import InputError

if TYPE_CHECKING:
    from expose_lab.datasets.registry import Entry

HELP = "List, fetch and find the data sets of the benchmark."

EXAMPLES = """\b
Examples:
  expose data list
  expose data fetch arrhythmia thyroid
  expose data path arrhythmia
"""

LIST_EXAMPLES = """\b
Examples:
  expose data list
  expose data list --group embedding
  expose data list --json
"""

FETCH_EXAMPLES = """\b
Examples:
  expose data fetch arrhythmia
  expose data fetch paper --data-dir data/
  expose data fetch all

Needs pip install 'expose[bench]'. Interrupted? Run the same command again: what is complete is kept.
"""

PATH_EXAMPLES = """\b
Examples:
  expose data path
  expose data path arrhythmia
"""

DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of data sets. (default: $EXPOSE_DATA, else a folder in your cache)",
    ),
]

data = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@data.command("list", epilog=LIST_EXAMPLES)
def list_sets(
    group: Annotated[
        str, typer.Option(help="Only one group: paper, extra, more, mixed or embedding.", show_default=False)
    ] = "all",
    data_dir: DataDir = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """List the data sets, and which are here."""
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose_lab.datasets import data_folder
        from expose_lab.datasets.registry import GROUPS, select

        if group not in (*GROUPS, "all"):
            raise InputError(f"--group must be one of {', '.join(GROUPS)}, all; got {group!r}.")
        folder = data_folder(data_dir)
        entries = select([group])
        places = [_place(one, folder) for one in entries]
        facts = [_facts(one, place) for one, place in zip(entries, places, strict=True)]
        session.result(folder=str(folder), datasets=facts)
        session.say(f"Folder          {folder}\n")
        for line, licence in zip(_table(facts), ["licence", *(one.licence for one in entries)], strict=True):
            session.say(f"{line}   {licence}")
        here = sum(place is not None for place in places)
        session.say(f"\n{here} of {count(len(entries), 'set')} here. 'expose data fetch NAME' downloads one.")


@data.command(epilog=FETCH_EXAMPLES)
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME", show_default=False, help="Sets, or a group: paper, extra, more, mixed, embedding, all."
        ),
    ],
    data_dir: DataDir = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Download data sets from their public origins.

    Each is verified value by value; one that is here already is verified and not downloaded again. A group
    leaves out what has no origin. Each set has its own licence, which is shown: keep to it.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose_lab.datasets import data_folder
        from expose_lab.datasets import fetch as fetch_set
        from expose_lab.datasets.registry import select

        folder = data_folder(data_dir)
        done: list[dict[str, Any]] = []
        failed: list[str] = []
        for one in select(names):
            if one.name not in names and _place(one, folder) is None and not one.sources:
                session.say(f"{one.name}: left out, it has no origin to download from")
                continue
            session.say(f"{one.name}: {count(one.rows, 'row')}, {count(one.columns, 'column')}")
            session.say(f"  Licence       {one.licence}\n  Cite          {one.citation}")
            try:
                path = fetch_set(one, folder, progress=_Meter(session))
            except (InputError, OSError) as error:
                failed.append(str(error))
                continue
            session.say(f"  Verified      {path or 'computed when loaded'}{_size(path)}")
            done.append(_facts(one, str(path or "computed")))
        session.result(folder=str(folder), datasets=done)
        if failed:
            rest = f" ({count(len(done), 'set')} fetched)" if done else ""
            raise InputError(" ".join(failed) + rest)


@data.command(epilog=PATH_EXAMPLES)
def path(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", show_default=False, help="A set; without it, the folder.")
    ] = None,
    data_dir: DataDir = None,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Print where the data sets lie, or where one lies."""
    with Session(as_json=as_json, debug=debug) as session:
        from expose_lab.datasets import data_folder
        from expose_lab.datasets.registry import entry

        folder = data_folder(data_dir)
        if name is None:
            found = str(folder)
        else:
            one = entry(name)
            place = _place(one, folder)
            if place == "computed":
                raise InputError(f"{name} has no file: it is computed when loaded.")
            if place is None and not one.sources:
                raise one.unavailable(folder)
            if place is None:
                raise InputError(f"{name} is not in {folder}. 'expose data fetch {name}' downloads it.")
            found = place
        session.result(path=found)
        session.say(found)


def _place(one: Entry, folder: Path) -> str | None:
    """Where a set is: its file, ``"computed"``, or None."""
    from expose_lab.datasets import layouts, thyroid_csv

    if one.name == "mulcross":
        return "computed"
    file = layouts.find(one.stem, folder)
    if file is None and one.name == "thyroid":
        file = thyroid_csv()
    return None if file is None else str(file)


def _facts(one: Entry, place: str | None) -> dict[str, Any]:
    return {
        "name": one.name,
        "group": one.group,
        "rows": one.rows,
        "columns": one.columns,
        "anomalies": one.anomalies,
        "share": one.anomalies / one.rows,
        "anomaly": one.anomaly,
        "here": place is not None,
        "path": place,
        "licence": one.licence,
        "citation": one.citation,
        "sources": [source.url for source in one.sources],
    }


def _table(facts: list[dict[str, Any]]) -> list[str]:
    rows = [
        {
            "name": one["name"],
            "rows": f"{one['rows']:,}",
            "columns": f"{one['columns']:,}",
            "anomalies": f"{one['anomalies']:,}",
            "share": percent(one["share"]),
            "here": "yes" if one["here"] else "no",
        }
        for one in facts
    ]
    return aligned(rows)


def _size(path: Path | None) -> str:
    return "" if path is None else f" ({path.stat().st_size / 1e3:,.0f} kB)"


class _Meter:
    """Show the progress of a download on one line of a terminal, and nothing where nobody watches.

    Pooch sets `total`, calls `update` with the bytes of each piece, and `reset` and `close` at the end.
    """

    def __init__(self, session: Session) -> None:
        self._shown = session.verbose and not session.as_json and sys.stderr.isatty()
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self.total, self._here = 0, 0

    def update(self, size: int) -> None:
        """Show what is here."""
        self._here += size
        if self._shown:
            of = f" of {self.total / 1e6:.1f}" if self.total else ""
            print(f"\r  Download      {self._here / 1e6:.1f}{of} MB", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line."""
        if self._shown:
            print(file=sys.stderr)
