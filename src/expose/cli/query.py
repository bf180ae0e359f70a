"""``expose query``: which training rows to look at next, as a table to fill in."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.sources import LABEL, ROW, check_output, named, read_as
from expose.cli.text import count
from expose.errors import InputError
from expose.stores import Place, place_of, without_secrets

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose.estimators import AnomalyDetector
    from expose.kinds import Batch, Kind, Reading

EXAMPLES = """\b
Examples:
  expose query model/ transactions.parquet --out to_label.csv
  expose query model/ data.csv -k 5 --id account --out to_label.csv

Fill in the column 'label' (1 anomaly, 0 normal), then train again by the command that is printed, and perhaps
ask again:
  expose fit transactions.parquet --answers to_label.csv --out model-2
"""


@opt.reads_files
def query(
    model: opt.Model,
    data: opt.Data,
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help="Table to fill in: .csv, .csv.gz, .parquet, or - for stdout."),
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=4096, help="How many.")] = 20,
    id_columns: opt.Id = None,
    skip_bad: opt.SkipBad = False,
    spreadsheet_safe: opt.SpreadsheetSafe = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
    *,
    written: dict[str, Any],
) -> None:
    """Choose the rows or photos of DATA whose labels MODEL needs most.

    DATA is what MODEL was trained on.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug, stdout_is_data=out == "-") as session:
        from expose import AnomalyDetector
        from expose.files import writer

        check_output(out, data)
        check_unanswered(out)
        detector = AnomalyDetector.load(model, device=device)
        if sampled := detector.metadata_.get("sampled"):
            raise InputError(
                f"{model} was fitted on {sampled[0]:,} of {sampled[1]:,} rows, and questions are about rows in memory. "
                f"Fill in a column {LABEL!r} beside {ROW!r} of the first rows of its ranking, the file of "
                "--out-suspects, and give these to expose fit --answers."
            )
        scorer = detector.scorer(id=id_columns)
        kind, reading = scorer.fitted.kind, scorer.reading
        batch = kind.read(data, shown_by(replace(read_as(reading, written), skip_bad=skip_bad)))
        rows = detector.query(batch.samples, k)
        with writer(out, spreadsheet_safe=spreadsheet_safe) as sink:
            sink.write(to_fill_in(detector, kind, batch, rows))
        following = next_fit(detector.metadata_.get("command"), data, out, model)
        session.result(rows=rows.tolist(), out=without_secrets(out), next=following)
        session.say(f"To look at      {count(len(rows), kind.noun)} of {len(batch.samples):,}, the most telling first")
        if out != "-":
            session.say(
                f"Fill in         the column {LABEL!r} of {without_secrets(out)}: 1 anomaly, 0 normal, empty not known"
            )
            session.say(f"Next            {following}")


def shown_by(reading: Reading) -> Reading:
    """Read so that a person sees all columns: those that a model does not look at name the row."""
    label = () if reading.label is None else (reading.label,)
    return replace(reading, id=tuple(dict.fromkeys([*reading.id, *reading.ignore, *label])), ignore=(), label=None)


def to_fill_in(detector: AnomalyDetector, kind: Kind, batch: Batch, rows: NDArray[Any]) -> pa.Table:
    """Row number, score and an empty label of the chosen rows, then all that is known of them."""
    import pyarrow as pa

    asked = {
        ROW: pa.array(rows),
        "anomaly_score": pa.array(detector.training_scores_[rows]),
        LABEL: pa.nulls(len(rows), pa.string()),
    }
    known = {} if batch.ids is None else dict(zip(batch.ids.column_names, batch.ids.take(rows).columns, strict=True))
    samples = kind.samples(batch.samples)
    shown = [kind.show(samples, int(row)) for row in rows]
    names = dict.fromkeys(name for one in shown for name in one if name not in known)
    values = {name: column_of([one.get(name) for one in shown]) for name in names}
    return named(pa.table(known | values), asked, {})


def column_of(values: list[Any]) -> pa.Array:
    """Values as a column, as text where they are of no one type that a table can hold."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if value is None else str(value) for value in values])


def check_unanswered(out: str) -> None:
    """Refuse to write over answers that somebody has filled in; a table that nobody touched is replaced."""
    from expose.files import is_empty, read

    place = place_of(out)
    if out == "-" or not place.is_file() or not place.stat().st_size:
        return
    try:
        table = read(out)
    except (InputError, OSError) as error:
        raise InputError(f"--out {place} is there, and it cannot be seen whether it holds answers: {error}") from error
    answers = table[LABEL].to_pylist() if LABEL in table.column_names else []
    filled = sum(not is_empty(answer) for answer in answers)
    if filled:
        raise InputError(
            f"--out {place} holds {count(filled, 'answer')} already. Give the table another name, and train with both: "
            "'expose fit' takes --answers more than once."
        )


# ------------------------------------------------------------------------------------------ what comes after it


def next_fit(command: str | None, data: Sequence[str], answers: str, model: Place) -> str:
    """The command that trains again, as it can be typed: that of the model, with more answers, to a new folder.

    Parameters
    ----------
    command : str or None
        What the model was trained by.
    data : sequence of str
        The same data as they were just named.
    answers : str
        The table that is being filled in.
    model : Path or Stored
    """
    data, answers = [without_secrets(one) for one in data], without_secrets(answers)
    return shlex.join(["expose", "fit", *data, *options_of(command), "--answers", answers, "--out", str(fresh(model))])


def options_of(command: str | None) -> list[str]:
    """All options of a command of ``expose fit`` but its model; a file that it wrote gets another name.

    Examples
    --------
    >>> options_of("expose fit a.csv -q --id=day,account -o model --answers 'first one.csv' --seed 3")
    ['--id', 'day,account', '--answers', 'first one.csv', '--seed', '3', '--quiet']
    """
    context = context_of(command)
    if context is None:
        return []
    kept = [one for one in context.command.params if one.name not in ("data", "out")]
    return [word for one in kept for word in typed(one, context)]


def given_of(command: str | None) -> dict[str, Any]:
    """What a command of ``expose fit`` said, by the names of its options.

    Examples
    --------
    >>> given_of("expose fit a.csv --outliers other.csv --out model")["outliers"]
    'other.csv'
    """
    context = context_of(command)
    return {} if context is None else context.params


def context_of(command: str | None) -> Any:
    """A command of ``expose fit`` as it was understood; None for any other."""
    import click

    from expose.cli.app import command_of

    words = shlex.split(command or "")
    if words[:2] != ["expose", "fit"]:
        return None
    try:
        return command_of("fit").make_context("fit", words[2:], resilient_parsing=True)
    except click.ClickException:  # of another version, which had options that this one does not have
        return None


def typed(option: Any, context: Any) -> list[str]:
    """An option as it was given, if it was."""
    source, value = context.get_parameter_source(option.name), context.params.get(option.name)
    if source is None or source.name != "COMMANDLINE" or value is None:
        return []
    from expose.files import is_database

    name = max(option.opts, key=len)
    if option.is_flag:
        return [name]
    if option.name == "out_suspects" and value != "-":
        value = fresh_table(value) if is_database(value) else fresh(place_of(value))
    return [word for each in (value if option.multiple else [value]) for word in (name, str(each))]


def fresh_table(address: str) -> str:
    """The address of a table of a name like this one, with the next number; fit looks whether it is there.

    Examples
    --------
    >>> fresh_table("sqlite:///shop.db#suspects"), fresh_table('sqlite:///shop.db#"all.suspects-2"')
    ('sqlite:///shop.db#suspects-2', 'sqlite:///shop.db#"all.suspects-3"')
    """
    return re.sub(r'(?:-(\d+))?("?)$', lambda end: f"-{int(end[1] or 1) + 1}{end[2]}", address, count=1)


def fresh(place: Place) -> Place:
    """A name like this one, with a number, that nothing has yet.

    Examples
    --------
    >>> from pathlib import Path
    >>> [fresh(Path("no-such") / name).name for name in ("model", "model-2", "suspects.csv.gz")]
    ['model-2', 'model-3', 'suspects-2.csv.gz']
    """
    whole, dot, suffix = place.name.partition(".")
    stem, _, number = whole.rpartition("-")
    stem, last = (stem, int(number)) if stem and number.isdecimal() else (whole, 1)
    names = (place.with_name(f"{stem}-{n}{dot}{suffix}") for n in itertools.count(last + 1))
    return next(name for name in names if not (name.exists() or name.is_symlink()))
