"""Rows scored as they come: as in a file that ends there, in bounded memory, with a state that can be saved."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expose import AnomalyDetector, Scorer
from expose.encoders import recent
from expose.errors import DataWarning, InputError, ModelFolderError
from expose.kinds import as_logs, as_series
from expose.scoring import Live

W, N = 12, 160
RNG = np.random.default_rng(0)
WAVE = np.sin(np.arange(N) * 2 * np.pi / W)[:, None] + 0.1 * RNG.normal(size=(N, 2))
DAYS = pd.date_range("2026-01-01", periods=N, freq="15min")


def frame(values: Any = WAVE, when: Any = DAYS, pump: str = "a") -> pd.DataFrame:
    """Rows of one pump."""
    texts = pd.DatetimeIndex(when).strftime("%Y-%m-%d %H:%M:%S")
    return pd.DataFrame({"pump": pump, "when": texts, "bar": values[:, 0], "heat": values[:, 1]})


def arrow(rows: pd.DataFrame) -> pa.Table:
    """Rows as a pipe gives them: texts, nothing where a value is missing."""
    columns = {name: [None if pd.isna(one) else str(one) for one in rows[name]] for name in rows}
    return pa.table({name: pa.array(texts, pa.string()) for name, texts in columns.items()})


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    series = as_series(arrow(frame()), "when", entity="pump", window=W)
    detector = AnomalyDetector(threshold=0.02, random_state=0).fit(series)
    detector.fitted_.metadata |= {"time": "when", "entity": ["pump"]}
    return Scorer(detector.fitted_)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


def one_by_one(live: Live, rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([live.score(arrow(rows.iloc[[row]])).to_pandas() for row in range(len(rows))], ignore_index=True)


def in_files(scorer: Scorer, rows: pd.DataFrame) -> np.ndarray:
    """Scores of a whole file."""
    return scorer.scores(as_series(arrow(rows), "when", entity="pump"))


def told(live: Live, rows: pd.DataFrame) -> str:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        live.score(arrow(rows))
    return " ".join(str(one.message) for one in found)


class TestScores:
    def test_a_row_scores_what_it_does_at_the_end_of_a_file(self, scorer: Scorer) -> None:
        rows = frame()[:40]
        got = one_by_one(scorer.live(), rows)["anomaly_score"]
        for row in (0, 1, W - 2, W - 1, W, 39):
            assert got[row] == in_files(scorer, rows[: row + 1])[-1]

    @pytest.mark.parametrize("size", [7, 2 * N])
    def test_with_the_full_delay_scores_are_those_of_a_file(self, scorer: Scorer, size: int) -> None:
        rows = pd.concat([frame(), frame(WAVE[::-1], pump="b")]).sort_values(["when", "pump"], ignore_index=True)
        live, found = scorer.live(W - 1), []
        for start in range(0, len(rows), size):
            found.append(live.score(arrow(rows[start : start + size])).to_pandas())
        found.append(live.rest().to_pandas())
        got = rows.merge(pd.concat(found), on=["pump", "when"])
        assert live.waiting == 0
        np.testing.assert_array_equal(got["anomaly_score"], in_files(scorer, rows))

    def test_a_delay_waits_for_so_many_steps_and_no_more(self, scorer: Scorer) -> None:
        live, rows = scorer.live(5), frame()
        assert len(live.score(arrow(rows[:5]))) == 0
        six = live.score(arrow(rows[5:6])).to_pandas()
        assert six["when"].tolist() == rows["when"][:1].tolist()
        assert live.waiting == 5
        live.score(arrow(rows[6:59]))
        expected = in_files(scorer, rows[:60])[54]
        assert live.score(arrow(rows[59:60]))["anomaly_score"].to_pylist() == [expected]

    @pytest.mark.parametrize("gap", [5, 40])
    def test_gaps_are_those_of_a_file(self, scorer: Scorer, gap: int) -> None:
        rows = frame().drop(index=range(50, 50 + gap))[:80]
        live = scorer.live(W - 1)
        got = pd.concat([one_by_one(live, rows), live.rest().to_pandas()])
        np.testing.assert_array_equal(got["anomaly_score"], in_files(scorer, rows))

    def test_missing_values_are_those_of_a_file(self, scorer: Scorer) -> None:
        rows = frame()[:130].copy()
        rows.loc[[20, 21, 60], "bar"] = np.nan
        rows.loc[[30, 70], ["bar", "heat"]] = np.nan
        rows.loc[90:, "heat"] = np.nan  # and stays away
        live = scorer.live(W - 1)
        got = pd.concat([one_by_one(live, rows), live.rest().to_pandas()])
        merged = rows.merge(got, on="when")["anomaly_score"]
        np.testing.assert_array_equal(merged[:90], in_files(scorer, rows)[:90])
        assert merged.notna().all()

    def test_how_rows_are_parted_does_not_matter(self, scorer: Scorer) -> None:
        rows = frame()[:70].copy()
        rows.loc[[20, 21, 50], "bar"] = np.nan
        rows.loc[30, ["bar", "heat"]] = np.nan
        beside = pd.to_timedelta(RNG.integers(0, 400, 70), unit="s")
        rows["when"] = (DAYS[:70] + beside).strftime("%Y-%m-%d %H:%M:%S")
        whole = scorer.live().score(arrow(rows)).to_pandas()
        pd.testing.assert_frame_equal(one_by_one(scorer.live(), rows), whole)

    def test_rows_of_frames_with_an_index_of_times_and_without_any(self) -> None:
        X = pd.DataFrame(WAVE, index=DAYS, columns=["bar", "heat"])
        for given, some in ((X, lambda one: X.iloc[one]), (as_series(WAVE), lambda one: as_series(WAVE[one]))):
            scorer = AnomalyDetector(random_state=0).fit(given).scorer()
            live = scorer.live(W * 10)
            found = [live.score(some(slice(row, row + 50))) for row in range(0, N, 50)]
            got = pa.concat_tables([*found, live.rest()])
            np.testing.assert_array_equal(got["anomaly_score"].to_numpy(), scorer.scores(given))
            assert got.column_names == ["anomaly_score", "is_anomaly"]

    def test_tables_are_scored_row_by_row(self) -> None:
        X = RNG.normal(size=(100, 3))
        detector = AnomalyDetector(random_state=0).fit(X)
        live = detector.scorer().live()
        got = [live.score(X[[row]])["anomaly_score"][0].as_py() for row in range(20)]
        assert got == detector.anomaly_score(X)[:20].tolist()
        assert live.score([{"x0": 1.0, "x1": 0.0, "x2": None}])["anomaly_score"].null_count == 0

    def test_what_cannot_be_scored_so_says_so(self) -> None:
        lines = [f"2026-05-01 12:{row // 60:02}:{row % 60:02} INFO job {row} done" for row in range(400)]
        logs = AnomalyDetector(random_state=0).fit(as_logs(lines, window=20)).scorer()
        with pytest.raises(InputError, match="logs are not scored as they come"):
            logs.live()
        tables = AnomalyDetector(random_state=0).fit(RNG.normal(size=(50, 2))).scorer()
        with pytest.raises(InputError, match="delay must be 0 here, got 3: tables are judged each by itself"):
            tables.live(3)

    @pytest.mark.parametrize("said", [{"delay": -1}, {"delay": 2.5}, {"entities": 0}])
    def test_odd_numbers_are_refused(self, scorer: Scorer, said: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="must be a whole number"):
            scorer.live(**said)


class TestOddRows:
    def test_a_late_row_is_put_where_it_belongs(self, scorer: Scorer) -> None:
        rows = frame()[:60]
        order = [*range(40), 42, 43, 40, 41, *range(44, 60)]
        live = scorer.live()
        assert "2 row(s) came after later ones of their series" in told(live, rows.iloc[order[:45]])
        got = live.score(arrow(rows.iloc[order[45:]]))["anomaly_score"].to_pylist()
        assert got == scorer.live().score(arrow(rows))["anomaly_score"].to_pylist()[45:]

    def test_what_has_no_place_has_no_score_and_is_told(self, scorer: Scorer) -> None:
        live, rows = scorer.live(), frame()
        live.score(arrow(rows[:100]))
        assert "1 row(s) are older than what is kept of their series: no score" in told(live, rows[3:4])
        odd = live.score(arrow(rows[3:4])).to_pylist()
        assert odd == [{"pump": "a", "when": rows["when"][3], "anomaly_score": None, "is_anomaly": None}]
        assert live.score(arrow(rows[100:101]))["anomaly_score"].null_count == 0

    def test_a_clock_that_was_set_back_begins_anew(self, scorer: Scorer) -> None:
        live, rows = scorer.live(), frame()
        live.score(arrow(rows[100:150]))
        back = live.score(arrow(rows[:30])).to_pandas()
        assert back["anomaly_score"].isna().tolist() == [True] * 10 + [False] * 20
        assert "were clocks set back" in told(scorer.live(), pd.concat([rows[100:150], rows[:60]]))

    def test_late_rows_among_others_are_no_clock_that_was_set_back(self, scorer: Scorer) -> None:
        rows = frame()
        order = [*range(40), *(row for pair in range(40, 80, 2) for row in (pair + 1, pair))]
        live = scorer.live()
        assert "clocks" not in told(live, rows.iloc[order])
        assert live.score(arrow(rows[80:81])).equals(scorer.live().score(arrow(rows[:81])).slice(80))

    def test_of_rows_of_one_time_the_mean_counts_as_in_a_file(self, scorer: Scorer) -> None:
        rows = pd.concat([frame()[:60], frame(WAVE + 1)[59:60], frame()[60:100]], ignore_index=True)
        live = scorer.live(W - 1)
        assert "1 row(s) have a time that their series has had: the mean of their values counts" in told(
            scorer.live(), rows
        )
        got = pd.concat([one_by_one(live, rows), live.rest().to_pandas()])["anomaly_score"]
        once = np.r_[: 60 - W, 60:101]  # the others were scored before it stood there twice
        np.testing.assert_array_equal(got.iloc[once], in_files(scorer, rows)[once])

    def test_one_row_that_cannot_be_read_harms_no_other(self, scorer: Scorer) -> None:
        rows = frame()[:100].astype(object)
        clean = scorer.live().score(arrow(rows.drop(index=[30, 50, 70])))["anomaly_score"].to_pylist()
        rows.loc[30, "when"], rows.loc[50, "when"], rows.loc[70, "bar"] = None, "soon", "inf"
        got = scorer.live().score(arrow(rows))["anomaly_score"].to_pandas()
        assert np.flatnonzero(got.isna()).tolist() == [30, 50, 70]
        assert got.dropna().tolist() == clean
        assert "2 value(s) are none" not in told(scorer.live(), rows)
        assert "1 row(s) cannot be read as in training: no score (row 70" not in told(scorer.live(), rows[:60])

    def test_a_word_in_the_place_of_a_number_is_missing(self, scorer: Scorer) -> None:
        rows, gone = frame()[:100].astype(object), frame()[:100].astype(object)
        rows.loc[60, "bar"], gone.loc[60, "bar"] = "ERR", None
        assert scorer.live().score(arrow(rows)).equals(scorer.live().score(arrow(gone)))

    def test_nothing_before_there_was_something(self, scorer: Scorer) -> None:
        rows = frame()[:3].copy()
        rows.loc[0, ["bar", "heat"]] = np.nan
        got = scorer.live().score(arrow(rows))["anomaly_score"].to_pylist()
        assert got[0] is None
        assert None not in got[1:]

    def test_rows_without_a_channel_are_refused_as_a_whole(self, scorer: Scorer) -> None:
        with pytest.raises(InputError, match="channels of training are not there: 'heat'"):
            scorer.live().score(arrow(frame()[:3].drop(columns="heat")))
        with pytest.raises(InputError, match="time: there is no column 'when'"):
            scorer.live().score(arrow(frame()[:3].drop(columns="when")))

    def test_columns_that_training_had_as_numbers_may_come_as_texts(self) -> None:
        rows = frame().assign(when=DAYS)
        detector = AnomalyDetector(random_state=0).fit(as_series(rows, "when", entity="pump", window=W))
        detector.fitted_.metadata |= {"time": "when", "entity": ["pump"]}
        live = Scorer(detector.fitted_).live()
        texts = frame()[:50].copy()
        texts.loc[40, "bar"] = np.nan
        got = one_by_one(live, texts)
        assert got["anomaly_score"].notna().all()


class TestMemory:
    def test_of_a_series_so_much_is_kept_and_no_more(self, scorer: Scorer) -> None:
        live = scorer.live()
        for start in range(0, 300, 50):
            when = DAYS[0] + pd.to_timedelta(np.arange(start, start + 50) * 15, unit="min")
            live.score(arrow(frame(WAVE[:50], when)))
        [track] = live.arrivals.tracks.values()
        assert len(track.at) <= 2 * W + 1
        assert not track.fresh
        assert not track.waiting

    @pytest.mark.parametrize("delay", [0, W - 1])
    def test_rows_closer_than_steps_do_not_fill_the_memory(self, scorer: Scorer, delay: int) -> None:
        live = scorer.live(delay)
        when = DAYS[0] + pd.to_timedelta(np.arange(1_000), unit="s")
        live.score(arrow(frame(np.resize(WAVE, (1_000, 2)), when)))
        [track] = live.arrivals.tracks.values()
        assert max(len(track.at), len(track.waiting)) <= recent.DENSE * 3 * W

    def test_the_series_not_heard_of_for_longest_is_forgotten(self, scorer: Scorer) -> None:
        live = scorer.live(entities=2)
        for pump in "abac":
            live.score(arrow(frame(pump=pump)[:1]))
        assert list(live.arrivals.tracks) == ["a", "c"]
        assert "1 series not heard of for longest are forgotten, since there are more than 2 ('a')" in told(
            live, frame(pump="d")[:1]
        )

    def test_rows_of_a_forgotten_series_are_answered(self, scorer: Scorer) -> None:
        live = scorer.live(5, entities=1)
        assert len(live.score(arrow(frame()[:3]))) == 0
        assert live.score(arrow(frame(pump="b")[:1])).to_pandas()["pump"].tolist() == ["a"] * 3


class TestState:
    @pytest.mark.parametrize("delay", [0, 7])
    def test_a_break_changes_nothing(self, scorer: Scorer, tmp_path: Path, delay: int) -> None:
        rows = pd.concat([frame(), frame(WAVE[::-1], pump="b")]).sort_values(["when", "pump"], ignore_index=True)
        whole, live, got = one_by_one(scorer.live(delay), rows[:70]), scorer.live(delay), []
        for start, end in ((0, 3), (3, 40), (40, 41), (41, 70)):
            got.append(one_by_one(live, rows[start:end]))
            live.save(tmp_path / "state")
            live = Live.load(tmp_path / "state", scorer)
        pd.testing.assert_frame_equal(pd.concat(got, ignore_index=True), whole)

    def test_nothing_yet(self, scorer: Scorer, tmp_path: Path) -> None:
        scorer.live().save(tmp_path / "state")
        assert Live.load(tmp_path / "state", scorer).taken == 0

    def test_one_of_another_model_is_refused(self, scorer: Scorer, tmp_path: Path) -> None:
        scorer.live().save(tmp_path / "state")
        other = AnomalyDetector(random_state=0).fit(as_series(WAVE, window=W)).scorer()
        with pytest.raises(InputError, match="was written with another model"):
            Live.load(tmp_path / "state", other)

    def test_damage_and_absence_are_told(self, scorer: Scorer, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"Live\.save writes one"):
            Live.load(tmp_path / "state", scorer)
        scorer.live().save(tmp_path / "state")
        (tmp_path / "state").write_bytes((tmp_path / "state").read_bytes()[:-3] + b"xxx")
        with pytest.raises(ModelFolderError, match="Delete it to begin without what was kept"):
            Live.load(tmp_path / "state", scorer)
