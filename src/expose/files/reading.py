"""Files to tables: CSV, TSV and Parquet, single or many, whole or in batches."""

from __future__ import annotations

import glob
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from expose.errors import DataWarning, InputError
from expose.files.delimited import Delimited, open_delimited, spooled, widest
from expose.files.names import existing, listing
from expose.files.parquet import Parquet

Source = str | Path | Sequence[str | Path]
File = Delimited | Parquet

_TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt")
_PARQUET_SUFFIXES: Final = (".parquet", ".pq")
_PACKED_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zst")
_WHOLE: Final = 2**20  # rows at a time when the whole table is wanted anyway


# ------------------------------------------------------------------------------------------------ read, scan


def read(
    source: Source,
    *,
    columns: Collection[str] | None = None,
    encoding: str = "utf-8",
    text: Collection[str] = (),
) -> Any:
    r"""Read one or more files as one pyarrow Table.

    Parameters
    ----------
    source : path, glob pattern, folder, list of paths, or "-"
        .csv, .tsv, .txt (also .gz, .bz2, .xz, .zst) or .parquet; "-" is CSV from standard
        input. The delimiter of a CSV file is found in its header.
    columns : collection of str, optional
        Read only these.
    encoding : str
        Of CSV files.
    text : collection of str
        Columns of CSV files that are never taken for numbers or dates (see `TableEncoder.text_columns`).

    Raises
    ------
    FileNotFoundError
        When nothing is found.
    InputError
        When a file is empty, damaged, in another encoding or format, has no rows, or files do not agree.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "small.csv"
    >>> _ = path.write_text("amount,kind\n1,a\n2.5,b\n")
    >>> read(path).to_pydict()
    {'amount': [1.0, 2.5], 'kind': ['a', 'b']}
    """
    return pa.Table.from_batches(list(scan(source, batch_rows=_WHOLE, columns=columns, encoding=encoding, text=text)))


def scan(
    source: Source,
    *,
    batch_rows: int = 65_536,
    columns: Collection[str] | None = None,
    encoding: str = "utf-8",
    text: Collection[str] = (),
) -> Iterator[Any]:
    r"""Read files as pyarrow RecordBatches of one schema, in order, in bounded memory.

    A CSV file of more than a few megabytes is read twice: first to settle the types of its columns.

    Parameters
    ----------
    source, columns, encoding, text
        And errors, as in `read`. Standard input is kept in a temporary file.
    batch_rows : int
        The most rows in a batch.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "small.csv"
    >>> _ = path.write_text("amount\n1\n2.5\n4\n")
    >>> [batch.num_rows for batch in scan(path, batch_rows=2)]
    [2, 1]
    """
    with _opened(source, encoding, text) as files:
        schema = _common_schema(files, columns)
        n_rows = 0
        for file in files:
            for table in file.tables(schema, batch_rows):
                for batch in table.combine_chunks().to_batches(max_chunksize=batch_rows):
                    n_rows += batch.num_rows
                    if batch.num_rows:
                        yield batch
        if not n_rows:
            raise InputError(f"{listing(f.label for f in files)}: there are column names, but no row below them.")


@contextmanager
def _opened(source: Source, encoding: str, text: Collection[str]) -> Iterator[list[File]]:
    """Find the files, and look at the column names of each."""
    if source in ("-", Path("-")):
        with spooled(sys.stdin.buffer) as path:
            yield [open_delimited(path, "standard input", suffix=".csv", encoding=encoding, text=text, keep=True)]
        return
    paths = _paths(source)
    yield [_open(path, encoding, text, keep=len(paths) == 1) for path in paths]


def _open(path: Path, encoding: str, text: Collection[str], *, keep: bool) -> File:
    suffix = _suffix(path)
    if suffix in _PARQUET_SUFFIXES:
        return Parquet(path)
    return open_delimited(path, str(path), suffix=suffix, encoding=encoding, text=text, keep=keep)


def _suffix(path: Path) -> str:
    """Return the suffix that names the format."""
    suffix = path.suffix.lower()
    if suffix in _PACKED_SUFFIXES:
        suffix = Path(path.stem).suffix.lower()
        known: tuple[str, ...] = _TEXT_SUFFIXES
    else:
        known = (*_TEXT_SUFFIXES, *_PARQUET_SUFFIXES)
    if suffix in known:
        return suffix
    raise InputError(
        f"{path}: cannot tell the format from the name. Expected {', '.join(_TEXT_SUFFIXES)} (also with "
        f"{', '.join(_PACKED_SUFFIXES)}) or {', '.join(_PARQUET_SUFFIXES)}."
    )


def _paths(source: Source) -> list[Path]:
    """Return the files a source stands for, in the order of their names."""
    if not isinstance(source, str | Path):
        return [path for one in source for path in _paths(one)] or _nothing("an empty list of files")
    path = Path(source)
    if path.is_dir():
        return _files_in(path)
    if path.exists():
        return [path]
    found = [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]
    return [p for p in found if p.is_file()] or _nothing(f"no file {str(source)!r}")


def _nothing(what: str) -> list[Path]:
    advice = "give the path of a CSV or Parquet file, a folder, or a pattern such as 'data/*.csv'"
    raise FileNotFoundError(f"there is {what}; {advice}")


def _files_in(folder: Path) -> list[Path]:
    """Return the data files of a folder and its folders; names that begin with . or _ are not data."""
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        stem = path.with_suffix("") if path.suffix.lower() in _PACKED_SUFFIXES else path
        data = stem.suffix.lower() in (*_TEXT_SUFFIXES, *_PARQUET_SUFFIXES)
        if path.is_file() and data and not any(part.startswith((".", "_")) for part in parts):
            found.append(path)
            if any("=" in part for part in parts[:-1]):
                message = f"{folder}: folder names such as {parts[0]!r} are not read as columns"
                warnings.warn(message, DataWarning, stacklevel=2)
    return found or _nothing(f"no CSV or Parquet file in the folder {str(folder)!r}")


def _common_schema(files: Sequence[File], columns: Collection[str] | None) -> Any:
    """Return the schema that holds the rows of all files: columns of the first, types as wide as needed."""
    names = files[0].names if columns is None else tuple(existing(columns, files[0].names, "columns"))
    types: dict[str, Any] = {}
    for file in files:
        missing = [name for name in names if name not in file.names]
        extra = [name for name in file.names if name not in files[0].names]
        if missing or extra:
            what = f"lacks {listing(missing)}" if missing else f"has {listing(extra)} besides"
            raise InputError(f"files must have the same columns; compared with {files[0].label}, {file.label} {what}.")
        for field in file.schema():
            if field.name in names:
                types[field.name] = _wider(types.get(field.name), field, file)
    return pa.schema([(name, types[name]) for name in names])


def _wider(known: Any | None, field: Any, file: File) -> Any:
    if known is None or known == field.type:
        return field.type
    if isinstance(file, Delimited):
        return widest(known, field.type)
    pair = [pa.schema([(field.name, arrow_type)]) for arrow_type in (known, field.type)]
    try:
        return pa.unify_schemas(pair, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        types = f"{field.type}, in the files before it {known}"
        raise InputError(f"{file.label}: column {field.name!r} is {types}. Make them agree.") from error
