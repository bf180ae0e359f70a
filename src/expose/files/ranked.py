"""Rows in falling order of their scores, of which only a few are ever in memory: sorted runs on disk, then merged.

A run is written whole or not at all, so whoever was killed finds the runs that are complete, and goes on behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from expose.atomic import whole_file

SCORE, ROW = "anomaly_score", "__row__"  # the second is added to what is ranked
RUN_ROWS: Final = 1_000_000  # sorted in memory
BLOCK_ROWS: Final = 8_192  # of each run in memory when runs are merged
AT_ONCE: Final = 65_536  # the fewest rows of a table that is given, but the last


class Runs:
    """Scored rows on their way into order: by falling score, equal ones by number.

    Parameters
    ----------
    folder : Path
        For this alone. Runs that are found there are taken for the first rows of the same source.
    run_rows : int
        The fewest rows of a run but the last.

    Attributes
    ----------
    n_rows : int
        How many rows were added, in this process or by one that wrote what was found.

    Examples
    --------
    >>> import tempfile
    >>> runs = Runs(Path(tempfile.mkdtemp()), run_rows=2)
    >>> for scores in ([0.5, 2.0], [1.0], [2.0, 0.1]):
    ...     runs.add(pa.table({"anomaly_score": scores}))
    >>> runs.end()
    >>> pa.concat_tables(runs.tables())[ROW].to_pylist()
    [1, 3, 2, 0, 4]
    """

    def __init__(self, folder: Path, run_rows: int = RUN_ROWS) -> None:
        self.folder, self.run_rows = folder, run_rows
        folder.mkdir(parents=True, exist_ok=True)
        self._n_runs, self.n_rows = len(self._paths()), sum(map(_rows_of, self._paths()))
        self._waiting: list[Any] = []

    def add(self, scored: Any) -> None:
        """Take the next rows, a table with a column of scores."""
        rows = np.arange(len(scored), dtype=np.int64) + self.n_rows
        self._waiting.append(scored.append_column(ROW, pa.array(rows)))
        self.n_rows += len(scored)
        if sum(map(len, self._waiting)) >= self.run_rows:
            self.end()

    def end(self) -> None:
        """Write what waits: after the last row."""
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting).replace_schema_metadata(None)
        self._waiting = []
        table = table.take(np.argsort(-table[SCORE].to_numpy(), kind="stable")).combine_chunks()
        with whole_file(self.folder / f"{self._n_runs:06}.arrow") as file, pa.ipc.new_file(file, table.schema) as run:
            run.write_table(table, max_chunksize=BLOCK_ROWS)
        self._n_runs += 1

    def tables(self) -> Iterator[Any]:
        """All rows that were written, in order, some ten thousand at a time."""
        runs = [_Run(path) for path in self._paths()]
        try:
            yield from _gathered(_merge(runs))
        finally:
            for run in runs:
                run.close()

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.arrow"))


class _Run:
    """The rows of a run that are still to be merged, a block at a time."""

    def __init__(self, path: Path) -> None:
        self._file = pa.OSFile(str(path))  # not a map of memory, whose pages would count as held
        self._reader = pa.ipc.open_file(self._file)
        self._next = 0
        self.block: Any = None
        self._advance()

    def _advance(self) -> None:
        """Read the next block; None at the end."""
        if self._next == self._reader.num_record_batches:
            self.block = None
            return
        self.block = pa.Table.from_batches([self._reader.get_batch(self._next)])
        self.falling, self.rows = -self.block[SCORE].to_numpy(), self.block[ROW].to_numpy()
        self._next += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def last(self) -> tuple[float, int]:
        """Where the last row of the block stands in the order of all."""
        return float(self.falling[-1]), int(self.rows[-1])

    def up_to(self, place: tuple[float, int]) -> Any:
        """Take off the rows that stand there or before."""
        score, row = place
        low, high = np.searchsorted(self.falling, score, "left"), np.searchsorted(self.falling, score, "right")
        end = int(low + np.searchsorted(self.rows[low:high], row, "right"))
        taken = self.block.slice(0, end)
        self.block, self.falling, self.rows = self.block.slice(end), self.falling[end:], self.rows[end:]
        if not len(self.rows):
            self._advance()
        return taken


def _merge(runs: list[_Run]) -> Iterator[Any]:
    """Merge sorted runs: of what stands before the first of the blocks' last rows, nothing is missing."""
    while runs:
        place = min(run.last for run in runs)
        table = pa.concat_tables([run.up_to(place) for run in runs])
        yield table.take(np.lexsort((table[ROW].to_numpy(), -table[SCORE].to_numpy()))).combine_chunks()
        runs = [run for run in runs if run.block is not None]


def _gathered(tables: Iterator[Any]) -> Iterator[Any]:
    """Fewer and larger tables: a file of many small ones would have a footer without end."""
    waiting: list[Any] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= AT_ONCE:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _rows_of(path: Path) -> int:
    """How many rows a run has."""
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        blocks = reader.num_record_batches
        last: int = reader.get_batch(blocks - 1).num_rows  # all others are full
        return int((blocks - 1) * BLOCK_ROWS + last)
