"""Which files a source stands for: paths, patterns, folders, lists of them; links are followed."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from expose.errors import DataWarning, InputError

Source = str | Path | Sequence[str | Path]

TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".log", ".data", ".dat", ".tab", ".jsonl", ".ndjson")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
EXCEL_SUFFIXES: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
PACKED_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zst")
_DATA_SUFFIXES: Final = (*TEXT_SUFFIXES, *PARQUET_SUFFIXES, *EXCEL_SUFFIXES, ".zip")


def paths_of(source: Source) -> list[Path]:
    """The files a source stands for, in the order of their names.

    Raises
    ------
    FileNotFoundError
        When there is none.
    InputError
        When links lead to nothing, or in a circle.
    """
    if not isinstance(source, str | Path):
        return [path for one in source for path in paths_of(one)] or _nothing("an empty list of files")
    path = Path(source)
    if path.is_dir():
        return _files_in(path)
    if path.exists():
        return [path]
    if sheet_of(path)[0].is_file():
        return [path]
    if path.is_symlink():
        raise InputError(f"{path} is a link to {os.readlink(path)!r}, where there is no file. Mend the link.")
    found = [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]
    return [p for p in found if not p.is_dir()] or _nothing(f"no file {str(source)!r}")


def sheet_of(path: Path) -> tuple[Path, str | None]:
    """A workbook and the sheet that is named behind it.

    >>> sheet_of(Path("book.xlsx#May"))
    (PosixPath('book.xlsx'), 'May')
    """
    place, mark, sheet = str(path).rpartition("#")
    named = mark and not path.exists() and place.lower().endswith(EXCEL_SUFFIXES)
    return (Path(place), sheet) if named else (path, None)


def is_data(name: str) -> bool:
    """Tell by a name whether a file holds a table.

    >>> is_data("a.csv.gz"), is_data("A.XLSX"), is_data("notes.md")
    (True, True, False)
    """
    path = Path(name.lower())
    stem = path.with_suffix("") if path.suffix in PACKED_SUFFIXES else path
    return stem.suffix in _DATA_SUFFIXES


def _nothing(what: str) -> list[Path]:
    advice = "give the path of a CSV or Parquet file, a folder, or a pattern such as 'data/*.csv'"
    raise FileNotFoundError(f"there is {what}; {advice}")


def _files_in(folder: Path) -> list[Path]:
    """The data files of a folder and its folders; names that begin with . or _ are not data."""
    found = [path for path in sorted(_walked(folder)) if is_data(path.name)]
    for path in found:
        if path.is_symlink() and not path.exists():
            raise InputError(f"{path} is a link to {os.readlink(path)!r}, where there is no file. Mend or remove it.")
    parts = {part for path in found for part in path.relative_to(folder).parts[:-1] if "=" in part}
    if parts:
        message = f"{folder}: folder names such as {min(parts)!r} are not read as columns"
        warnings.warn(message, DataWarning, stacklevel=2)
    return found or _nothing(f"no CSV or Parquet file in the folder {str(folder)!r}")


def _walked(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, followlinks=True):
        above = {os.path.realpath(parent) for parent in (Path(place), *Path(place).parents)}
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in folders:
            link = Path(place) / name
            if link.is_symlink() and os.path.realpath(link) in above:
                raise InputError(f"{link} is a link to a folder that it lies in, a circle. Remove the link.")
        yield from (Path(place) / name for name in names if not name.startswith((".", "_")))
