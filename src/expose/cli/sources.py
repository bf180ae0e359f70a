"""What commands read, whatever its kind, and where they may write."""

from __future__ import annotations

import glob
import math
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from expose.errors import DataWarning, InputError
from expose.stores import Place, Stored, place_of, without_secrets

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose.encoders.base import ColumnRead
    from expose.kinds import Batch, Kind, Reading

    Labels = NDArray[Any]

T = TypeVar("T")

ROW, LABEL = "row", "label"  # columns of a table of `expose query`
ANSWERED_AT = "answered_at"  # ... and of the file of `expose review`
SEARCHED_ROWS = 1_000  # for columns that name the rows


def reading_of(
    id: Sequence[str] | None,
    ignore: Sequence[str] | None,
    label: str | None = None,
    written: Mapping[str, Any] | None = None,
    category: Sequence[str] | None = None,
) -> Reading:
    """How a training file is read; ``written`` is what was said of how it is written."""
    from expose.kinds import Reading

    return read_as(
        Reading(id=tuple(id or ()), ignore=tuple(ignore or ()), label=label),
        {**(written or {}), "category": tuple(category or ())},
    )


def read_as(reading: Reading, written: Mapping[str, Any]) -> Reading:
    """The same for files of which this is said."""
    from expose.kinds.base import SEVERAL, SINGLE

    own = {field.name for field in fields(reading.dialect)}
    written = dict(written)
    several: dict[str, Any] = {name: tuple(written.pop(name, getattr(reading, name))) for name in SEVERAL}
    single: dict[str, Any] = {name: written.pop(name, getattr(reading, name)) for name in SINGLE}
    reading = replace(reading, query=written.pop("query", None), **several, **single)
    lines: dict[str, Any] = {name: value for name, value in written.items() if name in own}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in written.items() if name not in own
    }
    return replace(
        reading, dialect=replace(reading.dialect, **lines), conventions=replace(reading.conventions, **values)
    )


def metadata_of(reading: Reading, command: str) -> dict[str, Any]:
    """What a model folder keeps of how it came about; a `Scorer` reads new files by it."""
    from expose.kinds.base import SEVERAL, SINGLE

    roles = {"id": list(reading.id), "ignore": list(reading.ignore), "label": reading.label}
    written = {"dialect": reading.dialect.given(), "conventions": reading.conventions.given()}
    several = {name: list(found) for name in SEVERAL if (found := getattr(reading, name))}
    single = {name: found for name in SINGLE if (found := getattr(reading, name)) is not None}
    return {**roles, **several, **single, **written, "command": command}


def identified(kind: Kind, batch: Batch, reading: Reading) -> tuple[Batch, Reading, list[ColumnRead]]:
    """Let columns that name the rows do so, as `--id` would, where nobody said which do.

    They are looked for in some rows, by the kind's usual encoder, and must name each row in all of them.

    Returns
    -------
    batch, reading
        In which they are ids.
    found : list of ColumnRead
    """
    import numpy as np

    from expose.encoders import make_encoder

    if reading.id or not hasattr(batch.samples, "column_names"):
        return batch, reading, []
    some = np.unique(np.linspace(0, len(batch.samples) - 1, SEARCHED_ROWS).astype(np.int64))
    try:
        encoder = make_encoder(None, kind).fit(kind.samples(batch.samples.take(some)))
    except InputError:  # the training will refuse the same, and by the number that the row has
        return batch, reading, []
    found = [one for one in encoder.columns_read if one.kind == "identifier" and names_all(batch.samples[one.name])]
    names = tuple(one.name for one in found)
    if not found or len(names) == batch.samples.num_columns:
        return batch, reading, []
    split = kind.split(batch.samples, replace(reading, id=names, ignore=(), label=None))
    found = [one._replace(how=how_named(one.name, batch.samples[one.name])) for one in found]
    return batch._replace(samples=split.samples, ids=split.ids), replace(reading, id=names), found


def how_named(name: str, column: pa.ChunkedArray) -> str:
    """What becomes of a column that names rows; names of photos may be meant to be looked at."""
    from expose.files.lines import looks_like_prose
    from expose.kinds.image_files import is_image_file

    names = [str(value) for value in column.slice(0, SEARCHED_ROWS).drop_null().to_pylist()]
    if names and all(is_image_file(Path(one)) for one in names):
        return f"names of photos, which are not looked at; with --photo {name} they are"
    if looks_like_prose(names):
        return f"texts, which are not looked at; with --text {shlex.quote(name)} they alone are"
    return "different in every row; names it, as --id would"


def names_all(column: pa.ChunkedArray) -> bool:
    """Whether the values of a column are all different, nulls aside."""
    import pyarrow.compute as pc

    return bool(pc.count_distinct(column, mode="only_valid").as_py() == len(column) - column.null_count)


def read_outliers(kind: Kind, source: str, samples: Any, reading: Reading) -> Any:
    """Auxiliary outliers for training samples; columns that play no part may be absent."""
    ignore = (*reading.id, *reading.ignore)
    return kind.read([source], replace(reading, id=(), ignore=ignore, later=True, query=None)).samples


def label_of(kind: Kind, batch: Batch, label: str | None) -> pa.ChunkedArray | None:
    """The label column of a training file, which is there if it was named."""
    if label is not None and batch.label is None:
        raise InputError(f"--label {label}: {kind.plural} come without labels here. Use Python.")
    return batch.label


def classes_column(kind: Kind, reading: Reading) -> str:
    """What names the class of each sample: the column that was named, or what usually does so for the kind."""
    usual = "" if reading.photo else kind.classes
    if not (reading.label or usual):
        raise InputError("--label COLUMN is missing: which column of the table holds the class of each row?")
    return reading.label or usual


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


def with_answers(labels: Labels | None, files: Sequence[str], batch: Batch) -> Labels | None:
    """Add what was filled in to files of ``expose query``; a later file has the last word.

    Raises
    ------
    InputError
        If a file lacks its columns, names rows that the training data do not have, shows others beside its numbers, or
        calls a row both.
    """
    import numpy as np

    if not files:
        return labels
    n_rows = len(batch.samples)
    known = np.full(n_rows, -1, dtype=np.int64) if labels is None else np.array(labels)
    for file in files:
        table, rows, answers = answers_in(file, n_rows, batch.ids)
        check_rows(table, batch, rows, file)
        known[rows[answers >= 0]] = answers[answers >= 0]
    return known


def answers_in(file: str, n_rows: int = 2**53, ids: pa.Table | None = None) -> tuple[pa.Table, Labels, Labels]:
    """A file of ``expose query``, filled in: its table, row numbers ``(n,)`` of so many rows, and answers ``(n,)``.

    A table of one's own may name the rows as the data do, by a column of ``ids`` that is different in each of them.
    """
    from expose.files import known_labels, read

    table = read(file)  # written by us, whatever the training data look like
    names = [] if ids is None else [name for name in ids.column_names if name in table.column_names]
    lacking = {LABEL} - set(table.column_names) or (set() if names else {ROW} - set(table.column_names))
    if lacking:
        raise InputError(f"{file} has no column {min(lacking)!r}; --answers takes files of 'expose query'.")
    answers = known_labels(table[LABEL], f"{file}: {LABEL}")
    if ids is None or ROW in table.column_names:
        rows = row_numbers(table[ROW].to_pylist(), n_rows, file)
    else:
        rows = rows_named(table[names[0]].to_pylist(), ids[names[0]].to_pylist(), names[0], file)
    if ANSWERED_AT in table.column_names:  # grown line by line: the last word on each row counts
        last = sorted({row: place for place, row in enumerate(rows.tolist())}.values())
        table, rows, answers = table.take(last), rows[last], answers[last]
    if twice := sorted({*rows[answers == 1].tolist()} & {*rows[answers == 0].tolist()}):
        raise InputError(f"{file}: row {twice[0]} is called both an anomaly (1) and normal (0). Leave one of them.")
    return table, rows, answers


def rows_named(values: Sequence[Any], ids: Sequence[Any], name: str, file: str) -> NDArray[Any]:
    """Numbers of training rows ``(n,)`` of what names them."""
    import numpy as np

    from expose.files.names import listing

    places = {str(one): row for row, one in enumerate(ids)}
    if len(places) < len(ids):
        raise InputError(
            f"{file}: the column {name!r} is not different in every row of the data, so it cannot say which is meant. "
            f"Give the number of each row: a column {ROW!r}."
        )
    if unknown := [value for value in values if str(value) not in places]:
        raise InputError(
            f"{file}: {len(unknown):,} of {len(values):,} rows are not in the data: {listing(unknown)}. In the data "
            f"the column {name!r} begins with {listing(ids[:2])}."
        )
    return np.array([places[str(value)] for value in values], dtype=np.int64)


def check_rows(answers: pa.Table, batch: Batch, rows: NDArray[Any], file: str) -> None:
    """Refuse answers about another table, or one in another order: row numbers would say other rows.

    A spreadsheet may have written some columns anew, so one is enough that tells the rows apart and agrees in most.
    """
    tables: list[Any] = [table for table in (batch.ids, batch.samples) if hasattr(table, "column_names")]
    found = {name: table[name].take(rows).to_pylist() for table in tables for name in table.column_names}
    telling = [
        name for name in found if name in answers.column_names and 2 * len({*map(str, found[name])}) >= len(rows)
    ]
    pairs = [
        list(zip(answers[name].to_pylist(), found[name], strict=True)) for name in telling if name not in (ROW, LABEL)
    ]
    if len(rows) and pairs and all(2 * sum(same(*pair) for pair in column) < len(rows) for column in pairs):
        raise InputError(
            f"{file}: the rows shown there are not those that have these numbers in the data. Give the data that "
            f"were queried, in the same order. If they are, leave only the columns {ROW!r} and {LABEL!r}."
        )


def same(shown: Any, value: Any) -> bool:
    """Whether a cell still shows a value, though a spreadsheet may have written it in its own way.

    >>> same("1,5", "1.50"), same("5.95643E+19", "59564291738598811238"), same("AB 1", "ab-1"), same("x", None)
    (True, True, True, False)
    """
    texts = ["" if one is None else str(one) for one in (shown, value)]
    with suppress(ValueError):
        first, second = (float(text.replace(",", ".")) for text in texts)
        return math.isclose(first, second, rel_tol=1e-5)
    first_letters, second_letters = ("".join(filter(str.isalnum, text.casefold())) for text in texts)
    return first_letters == second_letters


def row_numbers(values: Sequence[Any], n_rows: int, file: str) -> NDArray[Any]:
    """Numbers of training rows ``(n,)`` of what a file says they are."""
    import numpy as np

    rows = np.full(len(values), -1, dtype=np.int64)
    for place, value in enumerate(values):
        with suppress(TypeError, ValueError, OverflowError):
            rows[place] = int(float(value)) if float(value).is_integer() else -1
        if not 0 <= rows[place] < n_rows:
            raise InputError(
                f"{file}: column {ROW!r} must hold row numbers from 0 to {n_rows - 1}, as queried; got {value!r}."
            )
    return rows


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


def name_of(source: str) -> str:
    """What is read, in a word or two: the name of a file or folder; a database as it is addressed."""
    from expose.files import is_database

    return without_secrets(source) if is_database(source) else place_of(source).name


def command_line() -> str:
    """What was typed, as it can be typed again, without the secrets of URLs."""
    return shlex.join(["expose", *map(without_secrets, sys.argv[1:])])


def next_commands(model: Place, *, query: bool = False, maps: bool = False) -> list[str]:
    """What to do with a model, as lines for people: also reviews, queries and heat maps, if it can give such."""
    score = ["score", str(model), "NEW_DATA", "--out", "scores.csv"]
    seeing = [["score", str(model), "DATA", "--maps", "maps/", "--out", "scores.csv"]] if maps else []
    asking = [["review", str(model), "DATA"], ["query", str(model), "DATA", "--out", "to_label.csv"]] if query else []
    commands = [shlex.join(["expose", *words]) for words in (score, ["report", str(model), "DATA"], *seeing, *asking)]
    return [f"Model           {model}", *(f"{'' if n else 'Next':<15} {line}" for n, line in enumerate(commands))]


def beside(model: Place, ending: str) -> Path:
    """A file beside a model folder, such as the one that keeps unfinished training; of an object store's here."""
    if isinstance(model, Stored):
        return Path(f"{'-'.join(re.findall('[a-zA-Z0-9_]+', str(model)))}.{ending}").resolve()
    place = model.resolve()
    return place.with_name(f"{place.name}.{ending}")


def check_output(out: str | Place, data: Sequence[str], option: str = "--out") -> None:
    """Refuse a file that cannot be, is an input, or would be one the next time, before any work is done."""
    from expose.files import check_new_table, is_database

    if out == "-":
        return
    if is_database(out):
        return check_new_table(str(out), option)
    place = place_of(out)
    if place.is_dir():
        raise InputError(f"{option} {place} is a folder; name a file in it.")
    check_parent(place, option)
    if isinstance(place, Stored):
        return check_stored_output(place, data, option)
    target = Path(os.path.realpath(place))
    for source in data:
        folder = Path(os.path.realpath(source))  # which bears links that go in a circle
        if folder == target or target in {Path(os.path.realpath(one)) for one in glob.glob(source, recursive=True)}:
            raise InputError(f"{option} {out} is an input; give the result another name.")
        if source != "-" and folder.is_dir() and target.is_relative_to(folder):
            raise InputError(f"{option} {out} lies in the input folder {source}; the next run would read it as data.")


def check_stored_output(target: Stored, data: Sequence[str], option: str) -> None:
    """The same for an object in a store, without asking the store."""
    from expose.files.paths import matches

    for source in map(place_of, data):
        if isinstance(source, Stored) and matches(target, source):
            raise InputError(f"{option} {target} is an input; give the result another name.")
        if isinstance(source, Stored) and target.is_relative_to(source):
            raise InputError(
                f"{option} {target} lies in the input folder {source}; the next run would read it as data."
            )


def check_model(out: Place) -> None:
    """Refuse a folder that a model could not be written to, before any work is done; errors as `check_target`."""
    from expose.persistence import check_target

    check_target(out)
    check_parent(out, "--out")


def check_parent(out: Place, option: str) -> None:
    """Refuse a place in a folder, or a bucket, that does not exist: a slip of the pen must not become a folder."""
    from expose.files import is_database

    if is_database(str(out)):
        raise InputError(f"{option} {out}: a table of a database takes rows alone; name a place on disk.")
    if isinstance(out, Stored):
        return out.check_bucket()
    parent = Path(os.path.abspath(out)).parent
    if not parent.is_dir():
        shown = Path(out).parent if str(out.parent) != "." else parent
        raise InputError(
            f"{option} {out}: there is no folder {shown}. Correct the name, or make it: "
            f"{shlex.join(['mkdir', '-p', str(shown)])}"
        )


def reading_errors(batches: Iterator[T]) -> Iterator[T]:
    """Give what is read, and say of errors of the system that they are of reading, not of the file being written."""
    try:
        yield from batches
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"cannot read the data: {error}" if error.errno else str(error)
        raise InputError(where) from error
