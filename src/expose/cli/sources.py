"""What commands read, whatever its kind, and where they may write."""

from __future__ import annotations

import glob
import shlex
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expose.errors import DataWarning, InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose.kinds import Batch, Kind, Reading

    Labels = NDArray[Any]

ROW, LABEL = "row", "label"  # columns of a table of `expose query`


def reading_of(
    id: Sequence[str] | None, ignore: Sequence[str] | None, label: str | None = None, encoding: str = "utf-8"
) -> Reading:
    """How a training file is read."""
    from expose.kinds import Reading

    return Reading(id=tuple(id or ()), ignore=tuple(ignore or ()), label=label, encoding=encoding)


def metadata_of(reading: Reading, command: str) -> dict[str, Any]:
    """What a model folder keeps of how it came about; a `Scorer` reads new files by it."""
    roles = {"id": list(reading.id), "ignore": list(reading.ignore), "label": reading.label}
    return {**roles, "encoding": reading.encoding, "command": command}


def read_outliers(kind: Kind, source: str, samples: Any, reading: Reading) -> Any:
    """Auxiliary outliers for training samples; columns that play no part may be absent."""
    # what was text in training is text here too, though a file of outliers may hold digits alone
    text = [field.name for field in getattr(samples, "schema", ()) if str(field.type) in ("string", "large_string")]
    ignore = (*reading.id, *reading.ignore)
    return kind.read([source], replace(reading, id=(), ignore=ignore, text=tuple(text), later=True)).samples


def label_of(kind: Kind, batch: Batch, label: str | None) -> pa.ChunkedArray | None:
    """The label column of a training file, which is there if it was named."""
    if label is not None and batch.label is None:
        raise InputError(f"--label {label}: {kind.plural} come without labels here. Use Python.")
    return batch.label


def known_of(column: pa.ChunkedArray | None, label: str | None) -> Labels | None:
    """What a label column says of each row, ``(n,)``: 1 anomaly, 0 normal, -1 unlabelled; None without one."""
    from expose.estimators.checks import misread
    from expose.files import known_labels

    if column is None or label is None:
        return None
    try:
        known = known_labels(column, label)
        if wrong := misread(known):
            raise InputError(
                f"label column {label!r} calls {wrong.what}. In it 1 is an anomaly, 0 normal, -1 or nothing "
                f"unlabelled. {wrong.way}."
            )
        return known
    except InputError as error:
        raise InputError(
            f"{error} If it holds classes, train a classifier: expose classify DATA --label {shlex.quote(label)} "
            "--out MODEL"
        ) from error


def with_answers(labels: Labels | None, files: Sequence[str], n_rows: int, encoding: str) -> Labels | None:
    """Add what was filled in to files of ``expose query``; a later file has the last word.

    Raises
    ------
    InputError
        If a file lacks its columns, or names rows that the training data do not have.
    """
    import numpy as np

    from expose.files import known_labels, read

    if not files:
        return labels
    known = np.full(n_rows, -1, dtype=np.int64) if labels is None else np.array(labels)
    for file in files:
        table = read(file, encoding=encoding)
        lacking = {ROW, LABEL} - set(table.column_names)
        if lacking:
            raise InputError(f"{file} has no column {min(lacking)!r}; --answers takes files of 'expose query'.")
        answers, rows = known_labels(table[LABEL], LABEL), np.asarray(table[ROW].to_pylist())
        if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n_rows:
            raise InputError(f"{file}: column {ROW!r} must hold row numbers from 0 to {n_rows - 1}, as queried.")
        known[rows[answers >= 0]] = answers[answers >= 0]
    return known


def named(ids: pa.Table | None, first: Mapping[str, Any], last: Mapping[str, Any], *, quiet: bool = False) -> pa.Table:
    """Rows with what names them in the middle; an id that has the name of a result is renamed, see `with_ids`.

    Parameters
    ----------
    ids : pyarrow.Table or None
    first, last : mapping of str to array, (n,) each
    quiet : bool
        Do not warn of a renamed id: in what is only shown.
    """
    from expose.files import with_ids

    results = {**first, **last}
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore", DataWarning)
        table = with_ids(ids, results)
    return table.select([*first, *(name for name in table.column_names if name not in results), *last])


def command_line() -> str:
    """What was typed, as it can be typed again."""
    return shlex.join(["expose", *sys.argv[1:]])


def next_commands(model: Path) -> list[str]:
    """What to do with a model, as lines for people."""
    score = shlex.join(["expose", "score", str(model), "NEW_DATA", "--out", "scores.csv"])
    report = shlex.join(["expose", "report", str(model), "DATA"])
    return [f"Model           {model}", f"Next            {score}", f"                {report}"]


def beside(model: Path, ending: str) -> Path:
    """A file beside a model folder, such as the one that keeps unfinished training."""
    place = model.resolve()
    return place.with_name(f"{place.name}.{ending}")


def check_output(out: str | Path, data: Sequence[str]) -> None:
    """Refuse an output file that is an input, or would be one the next time, before any work is done."""
    if out == "-":
        return
    if Path(out).is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it.")
    target = Path(out).resolve()
    for source in data:
        place = Path(source).resolve()
        if place == target or target in {Path(name).resolve() for name in glob.glob(source, recursive=True)}:
            raise InputError(f"--out {out} is an input; give the result another name.")
        if source != "-" and place.is_dir() and target.is_relative_to(place):
            raise InputError(f"--out {out} lies in the input folder {source}; the next run would read it as data.")
