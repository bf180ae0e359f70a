"""Which files a source stands for: paths, patterns, folders, lists of them; links are followed."""

from __future__ import annotations

import fnmatch
import glob
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from expose.errors import DataWarning, InputError
from expose.stores import Place, Stored, place_of

Source = str | Path | Sequence[str | Path]

X = TypeVar("X", Path, Stored)

TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".log", ".data", ".dat", ".tab", ".jsonl", ".ndjson")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
EXCEL_SUFFIXES: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
PACKED_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zst")
_DATA_SUFFIXES: Final = (*TEXT_SUFFIXES, *PARQUET_SUFFIXES, *EXCEL_SUFFIXES, ".zip")


def paths_of(source: Source) -> Sequence[Place]:
    """The files a source stands for, in the order of their names.

    Raises
    ------
    FileNotFoundError
        When there is none.
    InputError
        When links lead to nothing, or in a circle.
    StoreError
        When an object store does not answer, or refuses.
    """
    if not isinstance(source, str | Path):
        return [path for one in source for path in paths_of(one)] or _nothing("an empty list of files")
    path = place_of(source)
    if isinstance(path, Stored):
        return _in_store(path)
    if path.is_dir():
        return _files_in(path)
    if path.exists():
        return [path]
    if sheet_of(path)[0].is_file():
        return [path]
    if path.is_symlink():
        raise InputError(f"{path} is a link to {os.readlink(path)!r}, where there is no file. Mend the link.")
    _check_scheme(str(source))
    found = [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]
    return [p for p in found if not p.is_dir()] or _nothing(f"no file {str(source)!r}")


def sheet_of(path: Place) -> tuple[Place, str | None]:
    """A workbook and the sheet that is named behind it.

    >>> sheet_of(Path("book.xlsx#May"))
    (PosixPath('book.xlsx'), 'May')
    """
    place, mark, sheet = str(path).rpartition("#")
    named = mark and place.lower().endswith(EXCEL_SUFFIXES) and not path.exists()
    return (path.with_name(Path(place).name), sheet) if named else (path, None)


def is_data(name: str) -> bool:
    """Tell by a name whether a file holds a table.

    >>> is_data("a.csv.gz"), is_data("A.XLSX"), is_data("notes.md")
    (True, True, False)
    """
    path = Path(name.lower())
    stem = path.with_suffix("") if path.suffix in PACKED_SUFFIXES else path
    return stem.suffix in _DATA_SUFFIXES


def _nothing(what: str) -> list[Any]:
    advice = "give the path of a CSV or Parquet file, a folder, a pattern such as 'data/*.csv', or photos (.jpg, .png)"
    raise FileNotFoundError(f"there is {what}; {advice}")


def _check_scheme(source: str) -> None:
    scheme, mark, _ = source.partition("://")
    if mark and scheme.isalnum():
        raise FileNotFoundError(
            f"{scheme}:// is not read; of URLs s3://, gs://, az://, postgresql:// and sqlite:/// are. Got {source!r}."
        )


def _files_in(folder: Path) -> list[Path]:
    """The data files of a folder and its folders; names that begin with . or _ are not data."""
    return _of_folder(folder, sorted(_walked(folder)))


def _of_folder(folder: X, every: Sequence[X]) -> list[X]:
    found = [path for path in every if is_data(path.name)]
    for path in found:
        if isinstance(path, Path) and path.is_symlink() and not path.exists():
            raise InputError(f"{path} is a link to {os.readlink(path)!r}, where there is no file. Mend or remove it.")
    parts = {part for path in found for part in path.relative_to(folder).parts[:-1] if "=" in part}
    if parts:
        message = f"{folder}: folder names such as {min(parts)!r} are not read as columns"
        warnings.warn(message, DataWarning, stacklevel=2)
    return found or _nothing(f"no CSV or Parquet file in the folder {str(folder)!r}")


def _in_store(place: Stored) -> list[Stored]:
    """The objects that a URL stands for, as paths stand for files: one, a folder, a pattern, a sheet."""
    if place.is_file() or sheet_of(place)[0] != place:
        return [place]
    if place.is_dir():
        every = (one for one in place.rglob() if not _is_hidden(one.relative_to(place).parts))
        return _of_folder(place, sorted(every))
    place.check_bucket()
    parts = place.key.split("/")
    fixed = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    below = replace(place, key="/".join(parts[:fixed]))
    found = [] if fixed == len(parts) else [one for one in below.rglob() if matches(one, place)]
    return sorted(found) or _nothing(f"no file {str(place)!r}")


def matches(place: Stored, pattern: Stored) -> bool:
    """Whether a URL with signs such as * stands for an object, as a pattern of paths does for files.

    >>> pattern = place_of("s3://rows/**/*.csv")
    >>> [matches(place_of(f"s3://rows/{key}"), pattern) for key in ("a.csv", "2026/05/a.csv", ".old/a.csv", "a.txt")]
    [True, True, False, False]
    """
    return place.shown == pattern.shown and _fits(place.key.split("/"), pattern.key.split("/"))


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    if not names or not parts:
        return not names and all(part == "**" for part in parts)
    seen = parts[0].startswith(".") or not names[0].startswith(".")  # a name with a dot must be named so
    if parts[0] == "**":
        return _fits(names, parts[1:]) or (seen and _fits(names[1:], parts))
    return seen and fnmatch.fnmatchcase(names[0], parts[0]) and _fits(names[1:], parts[1:])


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith((".", "_")) for part in parts)


def _walked(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, followlinks=True):
        above = {os.path.realpath(parent) for parent in (Path(place), *Path(place).parents)}
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in folders:
            link = Path(place) / name
            if link.is_symlink() and os.path.realpath(link) in above:
                raise InputError(f"{link} is a link to a folder that it lies in, a circle. Remove the link.")
        yield from (Path(place) / name for name in names if not name.startswith((".", "_")))
