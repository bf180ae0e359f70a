"""Samples and rankings of rows that memory does not hold."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from expose.files import ranked
from expose.files.ranked import ROW, Runs
from expose.files.sampling import drawn, keys_of, merged, picked, sample_of


def cut(table: pa.Table, *places: int) -> list[pa.Table]:
    """A table in pieces."""
    edges = [0, *places, len(table)]
    return [table.slice(start, end - start) for start, end in pairwise(edges)]


TABLE = pa.table({"x": np.arange(5_000), "name": [f"n{i}" for i in range(5_000)]})


@pytest.mark.parametrize("places", [[], [1], [100, 101, 4_000], list(range(7, 5_000, 97))])
def test_a_sample_does_not_depend_on_how_rows_are_cut(places: list[int]) -> None:
    whole, n_rows = sample_of([TABLE], 0, 3, 50)
    found, n_found = sample_of(cut(TABLE, *places), 0, 3, 50)
    assert found.equals(whole)
    assert n_rows == n_found == 5_000
    sample = drawn(found, n_found, 3)
    assert sample.table["x"].to_pylist() == sample.rows.tolist()  # rows keep their numbers, and their order
    assert (np.diff(sample.rows) > 0).all()
    assert set(sample.rows) == set(np.argsort(keys_of(np.arange(5_000), 3))[:50])


@pytest.mark.parametrize("n_known", [0, 3, 40, 400])
def test_samples_of_parts_merge_to_the_sample_of_all(n_known: int) -> None:
    known = np.random.default_rng(0).choice(5_000, n_known, replace=False)

    def keep_first(table: pa.Table, first: int) -> np.ndarray:
        return np.isin(np.arange(first, first + len(table)), known)

    whole, _ = sample_of([TABLE], 0, 3, 50, keep_first)
    assert sample_of(cut(TABLE, *range(61, 5_000, 61)), 0, 3, 50, keep_first)[0].equals(whole)
    pieces = cut(TABLE, 900, 1_000, 1_001, 3_000)
    firsts = np.cumsum([0, *map(len, pieces)]).tolist()
    parts = [sample_of([piece], first, 3, 50, keep_first)[0] for piece, first in zip(pieces, firsts, strict=False)]
    assert merged(parts[::-1], 3, 50).equals(whole)
    kept = np.isin(whole["x"].to_numpy(), known).sum()
    assert whole.num_rows == 50
    assert kept >= min(n_known, 12)  # at most a quarter by right; with 400 in 5,000, some of the others by chance
    sample = drawn(whole, 5_000, 3)
    by_key = np.argsort(keys_of(np.arange(5_000), 3))
    assert set(sample.rows[sample.uniform]) == set(by_key[: sample.uniform.sum()])  # as if nothing were known
    assert sample.uniform.sum() >= 50 - min(n_known, 12)


def test_every_row_is_as_likely_as_any_other() -> None:
    counts = np.zeros(200)
    for seed in range(2_000):
        table, _ = sample_of([TABLE.slice(0, 200)], 0, seed, 20)
        counts[table["x"].to_numpy()] += 1
    assert abs(counts - 200).max() < 4.5 * np.sqrt(200 * 0.9)
    assert counts.std() == pytest.approx(np.sqrt(200 * 0.9), rel=0.2)


def test_few_rows_are_all_the_sample() -> None:
    table, n_rows = sample_of(cut(TABLE, 30), 0, 0, 5_000)
    assert drawn(table, n_rows, 0).table.equals(TABLE.combine_chunks())


def test_rows_are_picked_by_number() -> None:
    def batches(read: list[int]):
        for piece in cut(TABLE, 1_000, 2_000, 3_000):
            read.append(len(piece))
            yield piece

    read: list[int] = []
    found = picked(batches(read), np.array([1_500, 3, 1_500, 999]))
    assert found["x"].to_pylist() == [1_500, 3, 1_500, 999]
    assert len(read) == 2, "it read on although all rows were found"


@pytest.mark.parametrize("levels", [1, 3, 10_000])
@pytest.mark.parametrize("run_rows", [10, 100])
@pytest.mark.parametrize("block_rows", [1, 8, 1_000])
def test_runs_are_merged_into_one_order(
    block_rows: int, run_rows: int, levels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ties too, which are many with few levels: they cross blocks and runs."""
    monkeypatch.setattr(ranked, "BLOCK_ROWS", block_rows)
    monkeypatch.setattr(ranked, "AT_ONCE", 90)
    n = 8 * run_rows
    scores = np.random.default_rng(levels).integers(levels, size=n) / 7
    runs = Runs(tmp_path / "runs", run_rows)
    for start in range(0, n, 7):
        part = slice(start, start + 7)
        runs.add(pa.table({"anomaly_score": scores[part], "id": np.arange(n)[part]}))
    runs.end()
    tables = list(runs.tables())
    assert min(map(len, tables[:-1]), default=90) >= 90
    found = pa.concat_tables(tables)
    order = np.argsort(-scores, kind="stable")
    assert found[ROW].to_numpy().tolist() == order.tolist()
    assert found["id"].to_pylist() == order.tolist()


def test_complete_runs_outlive_a_kill(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(size=1_000)
    killed = Runs(tmp_path, 300)
    for start in range(0, 800, 100):
        killed.add(pa.table({"anomaly_score": scores[start : start + 100]}))
    again = Runs(tmp_path, 300)  # 200 rows of the first were waiting
    assert again.n_rows == 600
    again.add(pa.table({"anomaly_score": scores[600:]}))
    again.end()
    assert pa.concat_tables(again.tables())[ROW].to_numpy().tolist() == np.argsort(-scores, kind="stable").tolist()
