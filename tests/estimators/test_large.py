"""Fits of files that are read a few rows at a time."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import expose.kinds.table
from expose import AnomalyDetector
from expose.errors import InputError
from expose.estimators import large
from expose.estimators.large import draw, files_of
from expose.kinds import Reading
from expose.objectives import NTL
from expose.scoring import passes
from expose.scoring.passes import Rows
from expose.scoring.pieces import pieces_of

N = 3_000


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Numbers and names; the first thirty rows are far off, and a few labels are known."""
    random = np.random.default_rng(0)
    found = pd.DataFrame(random.normal(size=(N, 4)), columns=list("abcd"))
    found.loc[:29, ["a", "b"]] += 7
    found["shop"] = random.choice(["x", "y"], N)
    found["key"] = [f"k{row}" for row in range(N)]
    found["odd"] = None
    found.loc[:9, "odd"] = 1
    found.loc[100:104, "odd"] = 0
    return found


@pytest.fixture
def files(table: pd.DataFrame, tmp_path: Path) -> list[str]:
    """In three files, of which one has small row groups."""
    for number, (start, end) in enumerate([(0, 1_000), (1_000, 1_001), (1_001, N)]):
        part = pa.Table.from_pandas(table.iloc[start:end].astype({"odd": "float64"}), preserve_index=False)
        pq.write_table(part, tmp_path / f"{number}.parquet", row_group_size=137 if number else None)
    return [str(tmp_path / f"{number}.parquet") for number in range(3)]


def same(one: AnomalyDetector, other: AnomalyDetector) -> bool:
    weights = [detector.ensemble_.state_dict() for detector in (one, other)]
    return all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


ROLES: dict[str, Any] = {"id": ["key"], "ignore": ["odd"]}


@pytest.mark.parametrize("size", [N, 10 * N])
@pytest.mark.parametrize("objective", ["neighbours", NTL(epochs=2)])
def test_few_rows_are_fitted_as_in_memory(objective: Any, size: int, files: list[str], table: pd.DataFrame) -> None:
    there = AnomalyDetector(objective, random_state=0).fit_files(files, sample_rows=size, **ROLES)
    here = AnomalyDetector(objective, random_state=0).fit(table[["a", "b", "c", "d", "shop"]])
    assert same(there, here)
    assert np.array_equal(there.training_scores_, here.training_scores_)
    assert there.notes_ == here.notes_
    assert list(there.feature_names_in_) == ["a", "b", "c", "d", "shop"]


def test_the_model_is_that_of_the_sample_from_memory(files: list[str], table: pd.DataFrame, tmp_path: Path) -> None:
    there = AnomalyDetector(random_state=0).fit_files(files, sample_rows=800, **ROLES)
    reading = Reading(id=("key",), ignore=("odd",))
    sample = draw(files_of(files, reading), 800, there.fitted_.root, tmp_path)
    assert (len(sample.rows), sample.n_rows, sample.uniform.all()) == (800, N, True)
    here = AnomalyDetector(random_state=0).fit(table[["a", "b", "c", "d", "shop"]].iloc[sample.rows])
    assert same(there, here)
    assert there.threshold_score() == here.threshold_score()
    assert there.notes_[-1] == "The model is of 3,000 rows: it was fitted on a random sample of 800."


def test_networks_walk_through_all_rows(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = large.Blocks.block
    monkeypatch.setattr(large.Blocks, "block", lambda self, n: seen.append(self.n_rows) or original(self, n))
    detector = AnomalyDetector(NTL(epochs=2), random_state=0).fit_files(files, sample_rows=300, **ROLES)
    assert seen == [N, N]
    assert len(detector.training_scores_) == 300
    assert "the epochs walked through all of them" in detector.notes_[-1]
    alone = AnomalyDetector(NTL(epochs=2), random_state=0)
    assert not same(detector, alone.fit_files(files[:1], sample_rows=300, **ROLES))


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_the_whole_ranking_is_written_in_order(
    format: str, files: list[str], table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    monkeypatch.setattr(large, "AT_ONCE", 100)
    monkeypatch.setattr(large, "RUN_ROWS", 500)
    target = tmp_path / f"ranking.{format}"
    detector = AnomalyDetector(random_state=0, threshold=0.01)
    detector.fit_files(files, sample_rows=500, id=["key"], label="odd", ranking=target)
    found = pd.read_csv(target) if format == "csv" else pq.read_table(target).to_pandas()
    assert list(found) == ["rank", "row", "key", "anomaly_score", "above_line", "odd"]
    scores = detector.anomaly_score(table[["a", "b", "c", "d", "shop"]])
    order = np.argsort(-scores, kind="stable")
    assert found["row"].tolist() == order.tolist()
    assert found["rank"].tolist() == list(range(1, N + 1))
    assert found["key"].tolist() == [f"k{row}" for row in order]
    assert np.array_equal(found["anomaly_score"], scores[order])
    assert np.array_equal(found["above_line"], scores[order] > detector.threshold_score())
    assert found.set_index("row")["odd"].dropna().astype(int).to_dict() == dict.fromkeys(range(10), 1) | dict.fromkeys(
        range(100, 105), 0
    )


def test_known_rows_are_kept_and_do_not_distort_shares(files: list[str]) -> None:
    """Ten known anomalies of 3,000 rows are a tenth of a sample of 100, but no tenth of the rows."""
    detector = AnomalyDetector(random_state=0, contamination=0.02)
    detector.fit_files(files, sample_rows=100, id=["key"], label="odd")
    assert 85 <= len(detector.training_scores_) <= 90
    assert detector.contamination_ < 0.06
    assert int((detector.fitted_.known >= 0).sum()) <= 3


def killed_after(scored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ranking pass die after so many batches."""
    original = Rows.ranked
    left = [scored]

    def dying(*given: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(*given, **more)

    monkeypatch.setattr(Rows, "ranked", dying)


@pytest.mark.parametrize("objective", ["neighbours", NTL(epochs=2)])
def test_the_same_call_goes_on_after_a_kill(
    objective: Any, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "RUN_ROWS", 500)
    call: dict[str, Any] = {"sample_rows": 500, **ROLES}
    straight = tmp_path / "straight.parquet"
    AnomalyDetector(objective, random_state=0).fit_files(files, ranking=straight, **call)

    small(monkeypatch)
    checkpoint, target = tmp_path / "checkpoint", tmp_path / "ranking.parquet"
    with monkeypatch.context() as patch:
        killed_after(12, patch)
        with pytest.raises(KeyboardInterrupt):
            AnomalyDetector(objective, random_state=0, checkpoint=checkpoint).fit_files(files, ranking=target, **call)
    assert not target.exists()

    scored: list[int] = []
    original = Rows.ranked
    monkeypatch.setattr(Rows, "ranked", lambda *given, **more: scored.append(len(given[3])) or original(*given, **more))
    monkeypatch.setattr(Rows, "drawn_from", None)  # drawn before
    monkeypatch.setattr(large, "encoded_batches", lambda *_: iter(()))  # encoded before
    again = AnomalyDetector(objective, random_state=0, checkpoint=checkpoint)
    again.fit_files(files, ranking=target, **call)
    assert sum(scored) < N - 900
    assert pq.read_table(target).equals(pq.read_table(straight))
    again.save(tmp_path / "model")
    assert not list(tmp_path.glob("checkpoint*"))


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 100 rows in the passes that score."""
    monkeypatch.setattr(expose.kinds.table, "AT_ONCE", 100)


def test_another_file_is_not_taken_for_the_same(files: list[str], table: pd.DataFrame, tmp_path: Path) -> None:
    files_ = files_of(files, Reading(id=("key",), ignore=("odd",)))
    first = draw(files_, 100, 0, tmp_path)
    changed = table.iloc[1_001:].assign(a=0.0)
    pq.write_table(pa.Table.from_pandas(changed.astype({"odd": "float64"}), preserve_index=False), files[2])
    second = draw(files_of(files, Reading(id=("key",), ignore=("odd",))), 100, 0, tmp_path)
    assert second.rows.tolist() == first.rows.tolist()
    assert not second.table.equals(first.table)


def test_what_is_known_by_number_counts_beside_the_label_column(files: list[str], tmp_path: Path) -> None:
    files_ = files_of(files, Reading(id=("key",), label="odd"), {5: 0, 2_999: 1})
    sample = draw(files_, 100, 0, tmp_path)
    known = files_.labels(files_.kind.trained_on(sample.table, files_.reading), sample.rows)
    said = dict(zip(sample.rows.tolist(), known.tolist(), strict=True))
    assert {row: value for row, value in said.items() if value >= 0} == {
        **dict.fromkeys(range(10), 1), **dict.fromkeys(range(100, 105), 0), 5: 0, 2_999: 1,
    }  # fmt: skip


def test_a_wrong_label_is_named_by_its_number(table: pd.DataFrame, tmp_path: Path) -> None:
    table.assign(odd="").to_csv(tmp_path / "rows.csv", index=False)
    text = (tmp_path / "rows.csv").read_text().splitlines()
    text[2_501] = text[2_501] + "maybe"
    (tmp_path / "rows.csv").write_text("\n".join(text))
    with pytest.raises(InputError, match=r"row 2500 \(counting from 0\) holds 'maybe'"):
        AnomalyDetector().fit_files(tmp_path / "rows.csv", label="odd", sample_rows=100)


@pytest.mark.parametrize(
    ("source", "message"), [("-", "standard input can be read only once"), ("pipe", "pipe can be read only once")]
)
def test_what_can_be_read_once_is_refused(source: str, message: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=message):
        AnomalyDetector().fit_files("-" if source == "-" else str(tmp_path / source))


def test_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match="are for tables; got images"):
        AnomalyDetector().fit_files(tmp_path / "one.png")


@pytest.mark.parametrize("value", [0, 1, 2.5])
def test_a_sample_has_two_rows_at_least(value: Any, files: list[str]) -> None:
    with pytest.raises(ValueError, match="sample_rows"):
        AnomalyDetector().fit_files(files, sample_rows=value)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ------------------------------------------------------------------------------------------------------- engines


class Here:
    """An engine of one process, which sends all it is given as others do; what it is told to lose is called again."""

    threads = 1

    def __init__(self) -> None:
        self.called = 0

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        for item in items:
            self.called += 1
            yield pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(item)))))


@pytest.fixture
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_of, "__defaults__", (200,))


@pytest.mark.usefixtures("many_pieces")
@pytest.mark.parametrize(
    ("objective", "roles", "size"),
    [
        ("neighbours", ROLES, 300),
        ("neighbours", {"id": ["key", "shop"], "label": "odd"}, 300),
        ("neighbours", ROLES, 10 * N),
        (NTL(epochs=1), ROLES, 300),
    ],
)
def test_an_engine_gives_what_one_process_gives(
    objective: Any, roles: dict[str, Any], size: int, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    engine, found = Here(), []
    for name, given in [("one", None), ("many", engine)]:
        detector = AnomalyDetector(objective, random_state=0, checkpoint=tmp_path / name)
        target = tmp_path / f"{name}.parquet"
        found.append(detector.fit_files(files, sample_rows=size, ranking=target, engine=given, **roles))
    assert same(*found)
    assert np.array_equal(found[0].training_scores_, found[1].training_scores_)
    assert found[0].notes_ == found[1].notes_
    assert pq.read_table(tmp_path / "many.parquet").equals(pq.read_table(tmp_path / "one.parquet"), check_metadata=True)
    assert engine.called == 2 * len(pieces_of(files).pieces)
    assert not list((tmp_path / "many.passes").rglob("part-*")), "parts do not stay"


@pytest.mark.usefixtures("many_pieces")
def test_parts_hold_little_but_the_sample(files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = passes.merged
    monkeypatch.setattr(
        passes, "merged", lambda parts, *more: original((sizes.append(len(part)) or part for part in parts), *more)
    )
    looked_at = replace(files_of(files, Reading(id=("key",), ignore=("odd",))), engine=Here())
    assert len(draw(looked_at, 100, 0, tmp_path).rows) == sum(sizes) == 100


@pytest.mark.usefixtures("many_pieces")
@pytest.mark.parametrize(("first", "then"), [(None, Here()), (Here(), Here()), (Here(), None)])
def test_an_engine_goes_on_with_a_ranking_that_was_killed(
    first: Any, then: Any, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the rows that were sorted, whoever scored them: their batches begin elsewhere."""
    small(monkeypatch)
    monkeypatch.setattr(large, "AT_ONCE", 100)
    monkeypatch.setattr(large, "RUN_ROWS", 500)
    call: dict[str, Any] = {"sample_rows": 300, "ranking": tmp_path / "ranking.parquet", **ROLES}
    AnomalyDetector(random_state=0).fit_files(files, **call)
    expected = pq.read_table(tmp_path / "ranking.parquet")
    (tmp_path / "ranking.parquet").unlink()
    detector, added = AnomalyDetector(random_state=0, checkpoint=tmp_path / "checkpoint"), []

    def killed(self: Any, table: Any) -> None:
        added.append(len(table))
        if sum(added) > 1_700:
            raise KeyboardInterrupt
        original(self, table)

    original = large.Runs.add
    with monkeypatch.context() as patch:
        patch.setattr(large.Runs, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            detector.fit_files(files, engine=first, **call)
    assert not (tmp_path / "ranking.parquet").exists()
    called = 0 if then is None else then.called
    detector.fit_files(files, engine=then, **call)
    if then is not None:
        assert then.called - called < len(pieces_of(files).pieces), "the sample was drawn, and some rows were scored"
    assert pq.read_table(tmp_path / "ranking.parquet").equals(expected)


@pytest.mark.usefixtures("many_pieces")
def test_errors_of_pieces_are_those_of_one_process(files: list[str], table: pd.DataFrame, tmp_path: Path) -> None:
    for name, value, at in [("odd", 3.0, 2_500), ("a", np.inf, 2_500)]:
        wrong = table.astype({"odd": "float64"})
        wrong.loc[at, name] = value
        pq.write_table(pa.Table.from_pandas(wrong), tmp_path / "wrong.parquet", row_group_size=300)
        said = []
        for engine in (None, Here()):
            with pytest.raises(InputError) as error:
                AnomalyDetector(random_state=0).fit_files(
                    tmp_path / "wrong.parquet",
                    sample_rows=100,
                    id=["key"],
                    label="odd",
                    ranking=tmp_path / "ranking.parquet",
                    engine=engine,
                )
            said.append(str(error.value))
        assert said[0] == said[1]
        assert "2500" in said[0]
        assert not (tmp_path / "ranking.parquet").exists()


def test_an_engine_needs_parquet(table: pd.DataFrame, tmp_path: Path) -> None:
    table.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InputError, match="an engine needs Parquet"):
        AnomalyDetector().fit_files(tmp_path / "rows.csv", engine=Here(), **ROLES)
