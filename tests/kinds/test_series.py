"""Rows in order of time: how they are recognised, read, brought on a grid and put into words."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from expose.errors import InputError
from expose.kinds import Reading, SeriesKind, as_series, kind_of, kind_of_files
from expose.kinds.ordered import note_on_order
from expose.kinds.recording import notes_on

RNG = np.random.default_rng(0)
DAY = pd.date_range("2026-01-01", periods=200, freq="15min")


def frame(index=DAY, **columns):
    return pd.DataFrame(columns or {"bar": np.arange(float(len(index)))}, index=index)


def grid_of(X, step=None, **said):
    recording = as_series(X, **said).recording()
    return recording.grid(recording.step if step is None else step)


def notes(X, **said):
    recording = as_series(X, **said).recording()
    return " ".join(notes_on(recording, recording.step))


class TestWhatIsASeries:
    def test_a_frame_with_an_index_of_times_is_one(self):
        assert kind_of(frame()).name == "series"
        assert kind_of(frame()["bar"]).name == "series"
        assert kind_of(frame().tz_localize("Europe/Berlin")).name == "series"

    def test_an_index_of_periods_or_of_spans_is_one_of_times(self):
        assert as_series(frame().to_period()).recording().step == 900
        spans = frame(pd.to_timedelta(np.arange(200) * 5, unit="s"))
        assert kind_of(spans).name == "series"
        assert as_series(spans).recording().step == 5

    def test_a_list_of_numbers_is_an_array(self):
        assert as_series([1.0, 2, 4]).recording().values[:, 0].tolist() == [1, 2, 4]

    def test_other_frames_and_arrays_are_not(self):
        assert kind_of(frame().reset_index(drop=True)).name == "table"
        assert kind_of(np.zeros((5, 2))).name == "table"
        assert kind_of(np.zeros((5, 8, 8))).name == "image"

    @pytest.mark.parametrize(("shape", "channels", "series"), [((50,), 1, 1), ((50, 3), 3, 1), ((4, 50, 3), 3, 4)])
    def test_arrays_are_by_way_of_as_series(self, shape, channels, series):
        given = as_series(RNG.normal(size=shape))
        recording = given.recording()
        assert len(given) == 50 * series
        assert len(recording.names) == channels
        assert len(recording.entities) == series
        assert recording.grid(1.0).lengths.tolist() == [50] * series

    def test_files_are_where_a_column_of_times_was_named(self):
        assert kind_of_files(["rows.csv"], Reading(time="when")).name == "series"
        assert kind_of_files(["rows.csv"], Reading()).name == "table"

    @pytest.mark.parametrize("said", [{"entity": ("pump",)}, {"window": 20}])
    def test_what_goes_with_a_time_is_refused_without(self, said):
        with pytest.raises(InputError, match="goes with --time COLUMN"):
            kind_of_files(["rows.csv"], Reading(**said))

    def test_a_series_stays_as_it_is(self):
        series = as_series(frame())
        assert as_series(series) is series

    def test_its_samples_are_rows_and_their_surroundings_stay(self):
        few = as_series(frame()).take(np.array([7, 3])).take(slice(1, 2))
        assert few.numbers.tolist() == [3]
        assert len(few) == 1
        assert len(few.recording().values) == 200

    @pytest.mark.parametrize("window", [1, 0, -3, 2.5, True, "20"])
    def test_a_window_is_a_number_of_steps(self, window):
        with pytest.raises(InputError, match="window must be a whole number of steps"):
            as_series(frame(), window=window)

    def test_columns_must_be_there_and_have_one_role(self):
        rows = frame().reset_index(names="when")
        with pytest.raises(InputError, match=r"time: there is no column 'whem'.*Did you mean 'when'"):
            as_series(rows, "whem")
        with pytest.raises(InputError, match="entity: there is no column 'pump'"):
            as_series(rows, "when", entity="pump")
        with pytest.raises(InputError, match="both the time and the entity"):
            as_series(rows, "when", entity="when")

    def test_an_index_may_have_the_name_of_a_column(self):
        series = as_series(frame(time=np.arange(200.0)))
        assert series.recording().names == ("time",)


class TestTimes:
    def test_are_read_as_dates_of_tables_are(self):
        rows = [{"when": f"{day}.03.2026 10:00", "x": day} for day in range(1, 29)]
        recording = as_series(rows, "when").recording()
        assert recording.timed
        assert recording.step == 86_400

    def test_may_be_numbers(self):
        recording = as_series([{"t": 2 * i, "x": i} for i in range(9)], "t").recording()
        assert not recording.timed
        assert recording.step == 2

    @pytest.mark.parametrize("per_second", [1, 1_000, 10**6, 10**9])
    def test_may_be_counted_since_1970_in_any_unit(self, per_second):
        at = per_second * (1_770_000_000 + 60 * np.arange(50))
        assert as_series(pd.DataFrame({"t": at, "x": 1.0}), "t").recording().step == 60 * per_second

    def test_that_are_none_are_refused(self):
        with pytest.raises(InputError, match="must hold times, or numbers that grow with time; got 'soon'"):
            as_series([{"t": "soon", "x": 1.0}] * 5, "t").recording()

    def test_that_are_missing_are_refused_by_row(self):
        rows = [{"t": None if i == 3 else i, "x": 1.0} for i in range(9)]
        with pytest.raises(InputError, match=r"1 row.s. have no time in column 't', the first is row 3"):
            as_series(rows, "t").recording()

    def test_in_any_order_are_sorted_and_it_is_said(self):
        shuffled = frame().sample(frac=1, random_state=0)
        grid = grid_of(shuffled)
        assert grid.values[:, 0].tolist() == list(range(200))
        assert grid.place.tolist() == shuffled["bar"].astype(int).tolist()
        assert "not in order of time: they are sorted" in notes(shuffled)
        assert "sorted" not in notes(frame())

    def test_that_stand_twice_are_refused_and_the_entity_is_named(self):
        two = pd.concat([frame(pump="a", bar=1.0), frame(pump="b", bar=2.0)]).reset_index(names="when")
        with pytest.raises(InputError, match=r"200 row.s. have a time.*tells these rows apart: --entity pump"):
            as_series(two, "when").recording()
        assert as_series(two, "when", entity="pump").recording().entities == ("a", "b")

    def test_of_which_few_stand_twice_are_averaged_and_it_is_said(self):
        rows = pd.concat([frame(), frame(DAY[[70]], bar=[71.0]), frame(DAY[[80]], bar=[np.nan])])
        grid = grid_of(rows)
        assert grid.lengths.tolist() == [200]
        assert grid.values[[69, 70, 71, 80], 0].tolist() == [69, 70.5, 71, 80]
        assert grid.place[[70, 200]].tolist() == [70, 70]
        assert (
            "2 row(s) have a time that another has, too, the first is 2026-01-01T17:30:00, in rows 70 and 200 (cou"
            "nting from 0): the mean of their values is taken, and they have one score." in notes(rows)
        )
        assert "not as long" not in notes(rows)
        with pytest.raises(InputError, match="A series has one row for each time"):
            grid_of(pd.concat([frame(), frame().iloc[:3]]))

    @pytest.mark.parametrize("rounding", [1, 12])
    def test_a_measurement_is_none(self, rounding):
        rows = pd.DataFrame({"flow": RNG.normal(size=400).round(rounding), "x": 1.0})
        with pytest.raises(InputError, match=r"does not look like a time|Does it say when\? Its numbers rise"):
            as_series(rows, "flow").recording()

    @pytest.mark.parametrize("at", [
        RNG.permutation(200), 0.1 * RNG.permutation(200), 1.7e9 + 60 * RNG.permutation(900)[:200],
        np.cumsum(RNG.exponential(size=200)), np.cumsum(RNG.exponential(size=200))[::-1],
        np.cumsum(RNG.exponential(size=200))[np.r_[0:50, 51, 50, 52:200]],
    ])  # fmt: skip
    def test_numbers_may_be_shuffled_or_uneven_but_not_both(self, at):
        assert len(as_series(pd.DataFrame({"t": at, "x": 1.0}), "t").recording().at) == 200

    def test_that_stand_twice_with_nothing_to_tell_them_apart(self):
        with pytest.raises(InputError, match="A series has one row for each time"):
            as_series(pd.concat([frame(), frame()])).recording()

    def test_of_an_hour_that_clocks_show_twice(self):
        local = pd.date_range("2026-10-24", periods=200, freq="15min", tz="Europe/Berlin")
        with pytest.raises(InputError, match="Were clocks set back an hour"):
            as_series(frame(local.tz_localize(None))).recording()
        assert grid_of(frame(local)).lengths.tolist() == [200]  # with its zone it is plain

    def test_of_an_hour_that_clocks_leave_out(self):
        local = pd.date_range("2026-03-28", periods=200, freq="15min", tz="Europe/Berlin")
        assert grid_of(frame(local)).lengths.tolist() == [200]

    def test_an_entity_must_be_named_in_every_row(self):
        rows = [{"t": i, "x": 1.0, "pump": None if i == 4 else "a"} for i in range(9)]
        with pytest.raises(InputError, match=r"row 4 .* says nothing in column 'pump'"):
            as_series(rows, "t", entity="pump").recording()

    def test_entities_of_several_columns_and_numbers(self):
        rows = [{"t": i, "x": 1.0, "site": site, "pump": pump} for site in "ab" for pump in (1, 2) for i in range(5)]
        recording = as_series(rows, "t", entity=("site", "pump")).recording()
        assert recording.entities == ("a 1", "a 2", "b 1", "b 2")
        assert recording.grid(1.0).lengths.tolist() == [5] * 4

    def test_without_a_column_rows_are_counted_within_each_entity(self):
        rows = [{"x": float(i), "pump": "ab"[i % 2]} for i in range(10)]
        grid = grid_of(rows, entity="pump")
        assert grid.lengths.tolist() == [5, 5]
        assert grid.values[:, 0].tolist() == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]


class TestGrid:
    def test_irregular_rows_are_interpolated_and_have_the_nearest_step(self):
        at = np.array([0.0, 1.0, 2.0, 2.6, 4.0, 5.0])
        grid = grid_of(pd.DataFrame({"t": at, "x": 10 * at}), time="t")
        assert grid.values[:, 0] == pytest.approx([0, 10, 20, 30, 40, 50])
        assert grid.place.tolist() == [0, 1, 2, 3, 4, 5]
        assert "not as long as the usual one" in notes(pd.DataFrame({"t": at, "x": at}), time="t")

    def test_a_little_jitter_is_none(self):
        at = np.arange(50) + RNG.uniform(-0.04, 0.04, 50)
        values = RNG.normal(size=50)
        grid = grid_of(pd.DataFrame({"t": at, "x": values}), 1.0, time="t")
        assert grid.values[:, 0].tolist() == values.tolist()
        assert "not as long" not in notes(pd.DataFrame({"t": at, "x": values}), time="t")

    @pytest.mark.parametrize(("gap", "lengths"), [(10, [209]), (11, [100, 100])])
    def test_a_gap_of_more_than_ten_steps_parts(self, gap, lengths):
        at = np.concatenate([np.arange(100), 99 + gap + np.arange(100)])
        assert grid_of(pd.DataFrame({"t": at, "x": 1.0 * at}), time="t").lengths.tolist() == lengths

    def test_rows_without_a_value_are_a_gap(self):
        values = np.arange(60.0)
        values[20:40] = np.nan
        grid = grid_of(values)
        assert grid.lengths.tolist() == [20, 20]
        assert grid.place[[25, 35]].tolist() == [19, 20]  # the nearest row with a value
        assert "20 row(s) hold no value: a gap" in notes(values)

    def test_a_value_missing_beside_others_is_interpolated(self):
        values = np.arange(20.0)[:, None] * [1, 10]
        values[5:8, 1] = np.nan
        values[0, 0] = np.nan
        grid = grid_of(values)
        assert grid.values[:, 1] == pytest.approx(np.arange(20) * 10)
        assert grid.values[0, 0] == 1  # the nearest
        assert "4 missing value(s) are interpolated" in notes(values)

    def test_nothing_is_carried_over_a_gap(self):
        at = np.concatenate([np.arange(10), 100 + np.arange(10)])
        values = np.stack([1.0 * at, np.where(at >= 100, np.nan, 5.0)], axis=1)
        grid = grid_of(pd.DataFrame({"t": at, "x": values[:, 0], "y": values[:, 1]}), time="t")
        assert np.isnan(grid.values[10:, 1]).all()
        assert (grid.values[:10, 1] == 5).all()

    def test_an_entity_without_a_value_is_there_and_named(self):
        rows = [{"t": i, "x": np.nan if pump == "b" else i, "pump": pump} for pump in "abc" for i in range(5)]
        grid = grid_of(rows, time="t", entity="pump")
        assert grid.lengths.tolist() == [5, 5, 5]
        assert np.isnan(grid.values[5:10]).all()
        assert "nothing but missing values, which count as usual: 'b'" in notes(rows, time="t", entity="pump")

    def test_no_number_is_refused(self):
        with pytest.raises(InputError, match="a series needs a column of numbers beside its times; got 'state'"):
            as_series(frame(state="ok")).recording()

    def test_infinite_numbers_are_refused_by_row(self):
        values = np.zeros(9)
        values[4] = np.inf
        with pytest.raises(InputError, match="infinite number, in row 4"):
            as_series(values).recording()

    def test_channels_are_found_by_name(self):
        recording = as_series(frame(a=1.0, b=2.0, c="x")).recording()
        assert recording.channels(["b", "a"]).values[0].tolist() == [2, 1]
        with pytest.raises(InputError, match="channels of training are not there: 'd'"):
            recording.channels(["a", "d"])
        with pytest.raises(InputError, match="channels of training hold no numbers: 'c'"):
            recording.channels(["c"])


class TestFiles:
    ROWS = "\n".join(["when;pump;bar;state", *(f"{d:02}.03.2026;{p};{d},5;ok" for p in "ab" for d in range(1, 31))])

    def read(self, tmp_path, text=ROWS, **said):
        (tmp_path / "rows.csv").write_text(text)
        return SeriesKind().read([str(tmp_path / "rows.csv")], Reading(**{"time": "when", "entity": ("pump",), **said}))

    def test_ids_are_entity_and_time_as_they_came(self, tmp_path):
        batch = self.read(tmp_path)
        assert batch.ids.slice(0, 1).to_pylist() == [{"pump": "a", "when": "01.03.2026"}]
        assert batch.samples.recording().names == ("bar",)
        assert batch.samples.recording().left_out == ("state",)
        assert batch.samples.recording().values[0, 0] == 1.5

    def test_other_ids_and_a_label_are_as_of_tables(self, tmp_path):
        batch = self.read(tmp_path, label="state", id=("bar",), entity=("pump",))
        assert batch.ids.column_names == ["pump", "when", "bar"]
        assert batch.label.to_pylist()[:1] == ["ok"]

    def test_a_column_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(InputError, match="no column 'then'"):
            self.read(tmp_path, time="then")

    def test_are_given_some_rows_at_a_time_with_all_around_them(self, tmp_path, monkeypatch):
        monkeypatch.setattr("expose.kinds.series.AT_ONCE", 25)
        self.read(tmp_path)
        batches = list(SeriesKind().scan([str(tmp_path / "rows.csv")], Reading(time="when", entity=("pump",))))
        assert [len(batch.samples) for batch in batches] == [25, 25, 10]
        assert [batch.ids.num_rows for batch in batches] == [25, 25, 10]
        assert len({id(batch.samples.recording()) for batch in batches}) == 1

    def test_what_is_done_to_rows_is_told_once_of_all_their_parts(self):
        shuffled = as_series(frame().iloc[::-1])
        assert len(shuffled.take(slice(0, 9)).news()) == 1
        assert shuffled.news() == []

    def test_values_that_are_no_numbers_are_named(self):
        news = as_series([{"x": "ERR" if i == 7 else f"{i},5"} for i in range(40)]).news()
        assert "column 'x' holds numbers; 1 value(s) are none and count as missing: 'ERR' (row 7)." in news

    def test_numbers_of_steps_are_shown_whole(self):
        rows = [{"t": 1_770_000_000_000 + 60_000 * i, "x": 1.0 * i} for i in range(9)]
        assert SeriesKind().measure(as_series(rows, "t")).endswith("1770000000000 to 1770000480000 in steps of 60000")

    def test_arrow_tables_are_split_alike(self):
        table = pa.table({"when": ["2026-01-01", "2026-01-02"], "x": [1.0, 2.0]})
        batch = SeriesKind().split(table, Reading(time="when"))
        assert batch.ids.column_names == ["when"]
        assert len(batch.samples) == 2

    def test_later_rows_are_read_as_training_rows_were(self):
        learned = as_series([{"when": f"{day:02}/03/2026", "x": 1.0} for day in range(1, 29)], "when").learned
        later = as_series([{"when": "04/03/2026", "x": "1"}, {"when": "05/03/2026", "x": "2"}], "when")
        assert later.as_trained(learned).recording().step == 86_400
        assert later.recording().step > 2_000_000  # by themselves these are April and May


class TestForPeople:
    def test_how_large_a_series_is(self):
        assert SeriesKind().measure(frame(a=1.0, b=2.0)) == (
            "2 channels, 2026-01-01T00:00:00 to 2026-01-03T01:45:00 in steps of 15 minutes"
        )
        assert SeriesKind().measure(as_series(np.zeros((3, 10, 1)))) == "1 channel, 3 series, 0 to 9 in steps of 1"

    def test_what_a_step_shows(self):
        given = as_series(frame(a=np.where(np.arange(200) == 1, np.nan, 4.0), b=2.0)).take(slice(1, 3))
        assert [SeriesKind().show(given, row) for row in (0, 1)] == [{"a": None, "b": 2.0}, {"a": 4.0, "b": 2.0}]

    def test_spans_are_events_above_the_line_the_highest_first(self):
        scores = np.zeros(200)
        scores[50:56], scores[90:93], scores[94:97], scores[120] = [3, 5, 7, 6, 5, 2], 9, 8, 1
        scores[93] = 4  # a valley, below half of 9
        found = SeriesKind().spans([as_series(frame())], scores, scores > 1)
        assert [(one["start"][11:16], one["end"][11:16], one["steps"], one["peak_row"]) for one in found] == [
            ("22:30", "23:00", 3, 90), ("23:30", "00:00", 3, 94), ("12:45", "13:30", 4, 52),
        ]  # fmt: skip
        assert "entity" not in found[0]

    def test_of_an_event_one_step_is_to_be_looked_at(self):
        scores = np.ones(200)
        scores[50:53], scores[150] = [6, 9, 8], 4
        order = np.argsort(-scores, kind="stable")
        assert SeriesKind().foremost(frame(), scores, order).tolist() == [51, 150]
        assert SeriesKind().foremost(frame(), np.ones(200), order).tolist() == order.tolist()

    def test_spans_of_batches_in_any_order_of_rows(self):
        given = as_series(frame().iloc[::-1])
        scores = (np.arange(200) // 5 == 13).astype(float)
        parts = [given.take(slice(0, 67)), given.take(slice(67, 200))]
        [one] = SeriesKind().spans(parts, scores, scores > 0)
        assert one["steps"] == 5

    def test_no_span_reaches_over_a_gap_or_to_another_entity(self):
        scores = np.where(np.isin(np.arange(20), np.arange(8, 12)), np.arange(20.0), 0)
        found = SeriesKind().spans([as_series(np.zeros((2, 10, 1)))], scores, scores > 0)
        assert [(one["entity"], one["start"], one["end"]) for one in found] == [("1", "0", "1"), ("0", "8", "9")]

    def test_folds_are_of_steps_that_follow_each_other(self):
        given = as_series(frame().iloc[::-1]).take(slice(0, 90))
        parts = SeriesKind().folds(given, np.random.default_rng(0).permutation(90), 3)
        assert sorted(part.tolist() for part in parts) == [list(range(0, 30)), list(range(30, 60)), list(range(60, 90))]

    def test_nothing_flagged_is_no_span(self):
        assert SeriesKind().spans([as_series(frame())], np.zeros(200), np.zeros(200, dtype=bool)) == []


DAYS = [f"2026-01-{day:02}" for day in range(1, 31)]


class TestTablesThatAreInOrder:
    def test_are_told_so(self):
        [note] = note_on_order(pa.table({"x": range(30), "day": DAYS}))
        assert "ordered in time by 'day': --time day judges windows" in note

    def test_by_a_column_of_ids_too(self):
        assert note_on_order(pa.table({"day": pd.to_datetime(DAYS)}), pa.table({"x": range(30)}))

    @pytest.mark.parametrize("order", ["blocks", "interleaved"])
    def test_within_entities(self, order):
        rows = [(pump, day) for pump in "ab" for day in DAYS]
        rows = rows if order == "blocks" else sorted(rows, key=lambda row: row[1])
        table = pa.table({"day": [day for _, day in rows], "my pump": [pump for pump, _ in rows]})
        [note] = note_on_order(table)
        assert "--time day --entity 'my pump'" in note

    @pytest.mark.parametrize("days", [
        DAYS[::-1], DAYS[:15] + DAYS[:15], ["2026-01-01"] * 30, ["x"] * 30, [None, *DAYS[1:]], DAYS[:10], range(30),
    ])  # fmt: skip
    def test_others_are_not(self, days):
        assert note_on_order(pa.table({"day": list(days), "x": [i % 3 for i in range(len(days))]})) == ()


def test_what_was_made_of_rows_for_one_model_is_not_taken_for_another():
    rows = as_series([{"when": f"0{day}/0{day + 1}/2026", "x": float(day)} for day in range(1, 8)], "when")
    american = {"form": "date", "order": "mdy"}
    one, other = (
        rows.as_trained({"writings": {"when": {**american, "order": order}}, "conventions": {}}).grid(("x",), 2.6e6)
        for order in ("mdy", "dmy")
    )
    assert one is not other
    assert (
        rows.as_trained({"writings": {"when": american}, "conventions": {}}).recording().at[0]
        != rows.as_trained({"writings": {"when": {**american, "order": "dmy"}}, "conventions": {}}).recording().at[0]
    )
