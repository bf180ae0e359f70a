"""Parquet files in pieces, each mapped in a process of its own: the contract between engines and what they run.

The driver plans pieces of whole row groups, so that the number of every piece's first row is known before any is read.
A `Job` reads one piece, maps a function over its record batches and writes what comes as one file, whole or not at all,
under a name made of the piece's number. A piece can therefore run anywhere, and again: an engine has only to call a job
once per piece, and once more where a worker was lost.
"""

from __future__ import annotations

import socket
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from uuid import uuid4

import pyarrow as pa

from expose.atomic import remove
from expose.errors import ExposeWarning, InputError, ModelFolderError
from expose.files import opened, scan, writer
from expose.files.origins import of_path
from expose.files.parquet import Parquet
from expose.files.reading import Tables
from expose.stores import Place, Stored, StoreError
from expose.threads import torch_threads

AT_ONCE: Final = 65_536  # rows of a batch, and the fewest of a piece where a file has more
_FAILED: Final = ".failed"  # once this is in the folder, there is no sense in the pieces that are left

Item = TypeVar("Item")
Result = TypeVar("Result")
Batches = Iterator[pa.RecordBatch]
Work = Callable[[Batches, int], Batches]  # record batches of a piece and the number of its first row, to record batches


class Engine(Protocol):
    """Calls a function for each of many items, in processes that may be on other machines and may be lost.

    Attributes
    ----------
    threads : int
        By how many threads each process may compute.
    """

    threads: int

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Results in the order of the items; what was lost with a process is called again."""
        ...


class Piece(NamedTuple):
    """Some row groups of a Parquet file that lie side by side.

    Attributes
    ----------
    number : int
        Its place among the pieces.
    path : Path or Stored
    groups : tuple of int
    first_row : int
        Its number among the rows of all pieces.
    n_rows : int
    """

    number: int
    path: Place
    groups: tuple[int, ...]
    first_row: int
    n_rows: int

    @property
    def file_name(self) -> str:
        """The name of what is made of it. Names sort as the pieces do."""
        return f"part-{self.number:07}.parquet"


class Pieces(NamedTuple):
    """Parquet files as pieces, and the columns that all of them are read with."""

    pieces: list[Piece]
    schema: pa.Schema


def pieces_of(sources: Sequence[str] | Tables, at_least: int = AT_ONCE) -> Pieces:
    """Plan the pieces of Parquet files: row groups, small ones of a file together until they have enough rows.

    Files may have been looked at already.

    Raises
    ------
    InputError
        When something else than Parquet files is among the sources, or there is no row.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow.parquet as pq
    >>> path = f"{tempfile.mkdtemp()}/rows.parquet"
    >>> pq.write_table(pa.table({"x": range(10)}), path, row_group_size=3)
    >>> [(piece.groups, piece.first_row, piece.n_rows) for piece in pieces_of([path], at_least=4).pieces]
    [((0, 1), 0, 6), ((2, 3), 6, 4)]
    """
    if not isinstance(sources, Tables) and "-" in sources:
        raise InputError("an engine needs Parquet files; got standard input. Without an engine it is read.")
    tables = sources if isinstance(sources, Tables) else opened(list(sources))
    found: list[Piece] = []
    first = 0
    for path, rows in map(_path_and_groups, tables.files):
        for groups, n_rows in _side_by_side(rows, at_least):
            found.append(Piece(len(found), path, groups, first, n_rows))
            first += n_rows
    if not found:
        raise InputError(f"{tables.files[0].label}: there are column names, but no row below them.")
    return Pieces(found, tables.schema)


def run(
    engine: Engine, work: Work, pieces: Pieces, folder: Path, tally: Callable[[int], Any] | None = None
) -> Iterator[Any]:
    """Map a function over pieces: a file for each in a folder that exists, and of each, in order, what it was told.

    Parameters
    ----------
    engine : Engine
    work : callable
        Gets the record batches of a piece and the number of its first row, and gives record batches. It is sent to
        other processes.
    pieces : Pieces
    folder : Path
        Where every worker sees it, as it does the files of the pieces. Nothing else is in it in the end.
    tally : callable, optional
        Makes, of the number of a piece's first row, what counts what is written of it: by ``add(table)``.

    Yields
    ------
    object
        The tally of each piece that something was made of.

    Raises
    ------
    Exception
        The first that a piece ran into. Warnings of the pieces are given here, too.
    """
    yield from (part.tally for part in _made(engine, work, pieces, folder, tally or Nothing))


def fetched(engine: Engine, work: Work, pieces: Pieces, folder: Path) -> Batches:
    """Map a function over pieces as `run`, and give what comes of them here, in order; of it no file is left."""
    for part in _made(engine, work, pieces, folder, Nothing):
        path = folder / part.file_name
        yield from scan(path, batch_rows=AT_ONCE)
        remove(path)


def _made(engine: Engine, work: Work, pieces: Pieces, folder: Path, tally: Callable[[int], Any]) -> Iterator[Part]:
    """What was written of each piece that something was made of, in order."""
    job = Job(work, pieces.schema, str(folder.absolute()), tally, engine.threads)
    written, stopped = set(), False
    for part in engine.map(job, pieces.pieces):
        if part.error is not None:
            raise part.error
        for warning in part.warnings:
            warnings.warn(warning, stacklevel=2)
        stopped |= part.stopped
        if part.file_name:
            written.add(part.file_name)
            yield part
    if stopped:  # what failed was lost with its worker, and the second time found that it had failed
        raise InputError("a piece of the data failed in a worker that was lost before it could say why. Try again.")
    for path in folder.iterdir():
        if path.name not in written:  # drafts of lost workers
            remove(path)


class Part(NamedTuple):
    """What became of a piece: a file and its tally, or an error, or neither when others had failed."""

    file_name: str = ""
    tally: Any = None
    warnings: tuple[Warning, ...] = ()
    error: Exception | None = None
    stopped: bool = False


@dataclass(frozen=True)
class Job:
    """Reads a piece, maps a function over it and writes what comes; see `run`. It is called in a worker.

    An error is a result: to try again would help no more than the first time.
    """

    work: Work
    schema: pa.Schema
    folder: str
    tally: Callable[[int], Any]
    threads: int = 1

    def __call__(self, piece: Piece) -> Part:
        """Do all of it for one piece."""
        failed = Path(self.folder, _FAILED)
        if failed.exists():
            return Part(stopped=True)
        # Pieces in one process take turns, since both threads of torch and warnings belong to the whole process
        with torch_threads(self.threads), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", ExposeWarning)
            try:
                tally = self.write(piece)
            except Exception as error:
                if failed.parent.is_dir():
                    failed.touch()
                return Part(error=_sayable(error))
        said = tuple(one.message for one in caught if isinstance(one.message, Warning))
        return Part("" if tally is None else piece.file_name, tally, said)

    def write(self, piece: Piece) -> Any:
        """Write what is made of a piece, and give its tally; None if nothing was made of it."""
        folder = Path(self.folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        batches = self.work(self.read(piece), piece.first_row)
        first = next(batches, None)
        if first is None:
            return None
        tally = self.tally(piece.first_row)
        # A worker that was given up may still be writing the same piece: the draft is this call's own
        draft = folder / f".{uuid4().hex}.parquet"
        with writer(draft) as sink:
            while first is not None:
                sink.write(first)
                tally.add(pa.Table.from_batches([first]))
                first = next(batches, None)
        draft.replace(folder / piece.file_name)
        return tally

    def read(self, piece: Piece) -> Batches:
        """The record batches of a piece."""
        if not piece.path.is_file():
            raise FileNotFoundError(f"there is no file {piece.path}")
        n_rows = 0
        for batch in Tables([Parquet(of_path(piece.path), piece.groups)], self.schema).batches(AT_ONCE):
            n_rows += batch.num_rows
            yield batch
        if n_rows != piece.n_rows:
            raise InputError(f"{piece.path} has changed since the work began: {n_rows} rows instead of {piece.n_rows}.")


class Nothing:
    """A tally that counts nothing."""

    def __init__(self, first_row: int) -> None:
        """Nothing to keep."""

    def add(self, table: pa.Table) -> None:
        """Nothing to do."""


def _path_and_groups(file: Any) -> tuple[Place, list[int]]:
    """Where a file lies for every worker, and the rows of its groups."""
    if not isinstance(file, Parquet):
        raise InputError(f"an engine needs Parquet; got {file.label}, which is none. Without an engine it is read.")
    if file.path is None or str(file.path) != file.label:  # unpacked, where no other machine sees it
        raise InputError(f"an engine needs Parquet files as they are; got {file.label}, packed. Unpack it first.")
    place = replace(file.path, listed=None) if isinstance(file.path, Stored) else file.path.absolute()
    return place, file.rows_of_groups()


def _side_by_side(rows: Sequence[int], at_least: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Groups, several together until they have so many rows, and how many that are."""
    groups: list[int] = []
    n_rows = 0
    for place, more in enumerate(rows):
        groups.append(place)
        n_rows += more
        if n_rows >= at_least or (n_rows and place == len(rows) - 1):
            yield tuple(groups), n_rows
            groups, n_rows = [], 0


def _sayable(error: Exception) -> Exception:
    """An error as it can be sent to the driver, with where it came from for who wants to know."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, FileNotFoundError | ModelFolderError):
        advice = "Data, model, checkpoint and --out must lie where every worker sees them, under the same path."
        error = type(error)(f"a worker on {socket.gethostname()}: {error}. {advice}")
    elif isinstance(error, StoreError):
        text = f"a worker on {socket.gethostname()}: {error.strerror}. Workers have credentials of their own"
        error = StoreError(error.errno, text, error.filename)
    error.add_note(trace)
    error.__cause__ = error.__context__ = None
    return error
