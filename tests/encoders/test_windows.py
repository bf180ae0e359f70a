"""Steps by the windows that cover them."""

import numpy as np
import pytest

from expose.encoders import WindowEncoder
from expose.encoders.windows import period_of
from expose.errors import DataWarning, InputError
from expose.kinds import as_series

RNG = np.random.default_rng(0)


def waves(n=600, channels=1, period=25, seed=0):
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(n)[:, None] * 2 * np.pi / period + np.arange(channels)) + 0.1 * rng.normal(
        size=(n, channels)
    )


@pytest.fixture(scope="module")
def encoder():
    return WindowEncoder(components=6).fit(as_series(waves()))


class TestWindow:
    @pytest.mark.parametrize("period", [12, 24, 60, 150])
    def test_is_of_whole_periods(self, period):
        assert period_of(waves(3_000, 1, period)) == pytest.approx(period, abs=1)
        window = WindowEncoder().fit(as_series(waves(3_000, 1, period))).window
        assert 100 <= window < 100 + 1.1 * period

    def test_is_usual_where_no_period_shows(self):
        assert period_of(RNG.normal(size=(2_000, 1))) == 0
        assert WindowEncoder().fit(as_series(RNG.normal(size=2_000))).window == 100

    @pytest.mark.parametrize("n", [2, 3, 9, 60])
    def test_is_short_for_a_short_series(self, n):
        encoder = WindowEncoder().fit(as_series(RNG.normal(size=n)))
        assert encoder.window == max(2, n // 4)
        assert "a quarter of the longest stretch" in encoder.notes[0]

    @pytest.mark.parametrize(("channels", "every"), [(3, 1), (4, 2), (40, 11), (400, 50)])
    def test_is_no_shorter_for_many_channels_but_coarser_and_it_is_said(self, channels, every):
        encoder = WindowEncoder().fit(as_series(RNG.normal(size=(500, channels))))
        assert (encoder.window, encoder.every) == (100 // every * every, every)
        assert (f"each value the mean of {every} steps as there are {channels} channels" in encoder.notes[0]) == (
            every > 1
        )

    def test_is_as_asked_for(self):
        assert WindowEncoder(30).fit(as_series(waves())).window == 30
        assert WindowEncoder().fit(as_series(waves(), window=31)).window == 31
        with pytest.raises(InputError, match="a window of 700 steps is longer than the longest stretch"):
            WindowEncoder(700).fit(as_series(waves()))

    def test_asked_for_is_kept_for_many_channels_within_reason(self):
        many = as_series(RNG.normal(size=(300, 40)), window=60)
        assert WindowEncoder().fit(many).window == 60
        with pytest.raises(InputError, match=r"a window of 110 steps of 40 channels has more .* at most 102 steps"):
            WindowEncoder(110).fit(many)

    def test_of_steps_in_short_stretches_alone_is_learned_from_the_others(self):
        values = np.vstack([waves(200), np.full((30, 1), np.nan), waves(9)])
        encoder = WindowEncoder(40).fit(as_series(values).take(slice(231, 238)))
        assert np.isfinite(encoder.transform(as_series(values))).all()

    @pytest.mark.parametrize("values", [np.full(50, 3.0), np.full(50, np.nan)])
    def test_nothing_that_varies_is_refused(self, values):
        with pytest.raises(InputError, match="no channel varies"):
            WindowEncoder().fit(as_series(values))

    def test_channels_that_never_vary_have_no_weight(self):
        values = np.hstack([waves(), np.full((600, 1), 7.0), np.full((600, 1), np.nan)])
        encoder = WindowEncoder(20).fit(as_series(values))
        assert encoder.names == ("x0",)
        assert "channels that never vary have no weight: 'x1', 'x2'." in encoder.notes
        values[:, 1:] = 99
        assert np.isfinite(encoder.transform(as_series(values))).all()

    def test_switches_have_no_weight_beside_other_channels_and_it_is_said(self):
        switch = (np.arange(600) % 7 == 0).astype(float)[:, None]
        values = np.hstack([waves(), switch])
        encoder = WindowEncoder(20).fit(as_series(values))
        assert (encoder.names, encoder.switches) == (("x0",), ("x1",))
        assert any(
            "channels of two values, such as switches and commands" in note and "'x1'" in note for note in encoder.notes
        )
        flipped = np.hstack([waves(), 1 - switch])
        np.testing.assert_array_equal(encoder.transform(as_series(values)), encoder.transform(as_series(flipped)))
        again = WindowEncoder.restore(encoder.state())
        assert again.switches == ("x1",)

    def test_switches_alone_are_judged(self):
        switches = np.stack([np.arange(600) % 7 == 0, np.arange(600) % 11 == 0], axis=1).astype(float)
        assert WindowEncoder(20).fit(as_series(switches)).names == ("x0", "x1")


class TestParts:
    def test_are_whitened_windows_of_each_step(self, encoder):
        parts = encoder.transform(as_series(waves()))
        assert parts.shape == (600, 8, 7)  # and what they leave over
        assert parts.dtype == np.float32
        assert encoder.layout.pooling == "mean"
        assert np.abs(parts[100:-100, 0].mean(axis=0)).max() < 0.3
        assert parts[100:-100, 0].std(axis=0) == pytest.approx(1, abs=0.3)

    def test_of_a_precise_channel_show_what_is_small_beside_the_noise_of_others(self):
        values = np.sin(np.arange(1_200.0) / 5)[:, None] + RNG.normal(size=(1_200, 4)) * [1, 1, 1, 0.05]
        encoder = WindowEncoder(30).fit(as_series(values))
        usual = np.abs(encoder.transform(as_series(values)))
        values[600:606, 3] += 1
        odd = np.abs(encoder.transform(as_series(values)))
        assert odd[603, :, -1].min() > usual[..., -1].max()
        assert np.square(odd[603, :, :-4]).sum() < 1.5 * np.square(usual[603, :, :-4]).sum()

    def test_of_a_step_cover_it_and_those_of_others_do_not(self, encoder):
        values = waves()
        usual = encoder.transform(as_series(values))
        values[300] += 5
        changed = np.abs(encoder.transform(as_series(values)) - usual).max(axis=-1) > 1e-3  # (n, P)
        assert changed[300].all()
        assert not changed[: 301 - encoder.window].any()
        assert not changed[300 + encoder.window :].any()

    @pytest.mark.parametrize("rows", [slice(0, 600), slice(250, 260), [599], [0, 300, 7, 300]])
    def test_do_not_depend_on_which_others_are_asked_for(self, encoder, rows):
        series = as_series(waves())
        few = series.take(np.arange(600)[rows])
        assert np.abs(encoder.transform(few) - encoder.transform(series)[rows]).max() < 1e-5

    def test_of_channels_in_another_order_are_the_same(self):
        values = waves(400, 3)
        columns = {f"c{place}": values[:, place] for place in range(3)}
        encoder = WindowEncoder(20).fit(as_series(columns))
        swapped = {name: columns[name] for name in ("c2", "c0", "c1")}
        assert np.array_equal(encoder.transform(as_series(columns)), encoder.transform(as_series(swapped)))

    def test_of_no_row_are_none(self, encoder):
        assert encoder.transform(as_series(np.zeros((0, 1)))).shape == (0, 8, 7)

    def test_of_rows_without_times_are_of_one_after_the_other(self):
        rows = {"t": 60.0 * np.arange(600), "x0": waves()[:, 0]}
        encoder = WindowEncoder(20).fit(as_series(rows, "t"))
        np.testing.assert_array_equal(encoder.transform(as_series(waves())), encoder.transform(as_series(rows, "t")))

    def test_of_steps_far_longer_than_in_training_are_refused(self):
        rows = {"t": 60.0 * np.arange(600), "x": waves()[:, 0]}
        encoder = WindowEncoder(20).fit(as_series(rows, "t"))
        encoder.transform(as_series({**rows, "t": 10 * rows["t"]}, "t"))
        with pytest.raises(InputError, match="steps are 660 long, and were 60 in training"):
            encoder.transform(as_series({**rows, "t": 11 * rows["t"]}, "t"))

    def test_of_numbers_whose_squares_no_float_holds(self):
        values = np.zeros(400)
        values[[100, 300]] = 1e300, 5.0
        encoder = WindowEncoder(20).fit(as_series(values))
        with np.errstate(over="raise", invalid="raise"):
            assert np.abs(encoder.transform(as_series(values))).max(axis=(1, 2)).argmax() in range(80, 121)

    def test_of_fewer_steps_than_a_window_are_judged_as_a_whole_with_a_warning(self, encoder):
        with pytest.warns(DataWarning, match=r"5 step\(s\) are fewer than a window of 100"):
            few = encoder.transform(as_series(waves(5)))
        assert (few == few[0]).all()
        assert np.square(few).sum(axis=-1).mean() < 2.5  # what is not seen counts as usual
        with pytest.warns(DataWarning, match="fewer than a window"):
            odd = encoder.transform(as_series(waves(5) + 20))
        assert np.square(odd).sum(axis=-1).mean() > 50

    @pytest.mark.parametrize("n", [1, 20, 60, 99])
    def test_of_a_short_stretch_look_as_usual_as_those_of_a_long_one(self, encoder, n):
        values = np.vstack([waves(), np.full((30, 1), np.nan), waves()[200 : 200 + n]])
        lengths = np.square(encoder.transform(as_series(values))).sum(axis=-1).mean(axis=1)
        assert lengths[630:].max() < lengths[:600].max()

    def test_of_many_channels_are_of_means_of_some_steps_each(self):
        values = waves(600, 12)
        encoder = WindowEncoder(components=6).fit(as_series(values))
        assert encoder.every == 4
        shaken = values + np.tile([1.0, -1.0], 300)[:, None]  # what a mean of an even number of steps does not see
        before, after = (encoder.transform(as_series(one)) for one in (values, shaken))
        np.testing.assert_allclose(before, after, atol=1e-3)
        again = WindowEncoder.restore(encoder.state())
        np.testing.assert_array_equal(again.transform(as_series(values)), before)

    def test_of_many_channels_reach_as_far_as_their_window(self):
        values = waves(600, 12)
        encoder = WindowEncoder(components=6).fit(as_series(values))
        far = values.copy()
        far[200 + encoder.window - encoder.every : 200 + encoder.window] += 5
        before, after = (encoder.transform(as_series(one))[:, 0] for one in (values, far))  # of the window they begin
        assert np.abs(after[200] - before[200]).max() > 1
        np.testing.assert_array_equal(after[200 - encoder.window], before[200 - encoder.window])

    def test_of_a_short_stretch_of_many_channels_are_of_the_means_there_are(self):
        values = waves(600, 12)
        encoder = WindowEncoder(components=6).fit(as_series(values))
        odd = values[200:207].copy()
        for few, usual in ((values[200:207], True), (odd + 20, False)):
            with pytest.warns(DataWarning, match="fewer than a window"):
                lengths = np.square(encoder.transform(as_series(few))).sum(axis=-1)
            assert (lengths.mean() < 12) == usual

    def test_of_a_channel_that_is_missing_are_what_the_others_let_one_expect(self):
        values = waves(1_200, 3)
        encoder = WindowEncoder(30).fit(as_series(values))
        usual = np.square(encoder.transform(as_series(values))).sum(axis=-1)
        values[:, 1] = np.nan
        assert np.square(encoder.transform(as_series(values))).sum(axis=-1).mean() < 1.1 * usual.mean()

    def test_of_rows_that_had_to_be_brought_in_order_come_with_a_warning(self):
        rows = {"t": np.arange(200.0)[::-1], "x": waves(200)[:, 0]}
        encoder = WindowEncoder(20).fit(as_series(rows, "t"))
        assert "rows are not in order of time" in encoder.notes[1]
        with pytest.warns(DataWarning, match="not in order of time"):
            encoder.transform(as_series(rows, "t"))

    def test_are_finite_whatever_the_values(self, encoder):
        values = waves()
        values[[3, 9], 0] = [1e300, -1e300]
        values[50:80] = np.nan
        assert np.isfinite(encoder.transform(as_series(values))).all()

    def test_a_new_series_keeps_the_step_of_training(self):
        fitted = WindowEncoder(20).fit(as_series({"t": np.arange(400.0), "x": waves(400)[:, 0]}, "t"))
        coarse = as_series({"t": np.arange(0, 400.0, 2), "x": waves(400)[::2, 0]}, "t")
        fine = fitted.transform(as_series({"t": np.arange(400.0), "x": waves(400)[:, 0]}, "t"))
        assert np.median(np.abs(fitted.transform(coarse)[20:-20] - fine[::2][20:-20])) < 1.0

    def test_a_spike_does_not_become_a_component(self):
        values = waves()
        values[300] = 1e4
        encoder = WindowEncoder().fit(as_series(values))
        alone = WindowEncoder().fit(as_series(waves()))
        assert encoder.window == alone.window == 100


def test_what_was_learned_is_kept_to_the_bit(encoder):
    again = WindowEncoder.restore(encoder.state())
    assert np.array_equal(again.transform(as_series(waves(seed=1))), encoder.transform(as_series(waves(seed=1))))
    assert again.layout == encoder.layout


class TestSources:
    def test_are_channels_if_there_are_several(self, encoder):
        assert encoder.sources == ()
        assert WindowEncoder(20).fit(as_series(waves(400, 2))).sources == ("x0", "x1")

    def test_without_the_one_that_is_odd_a_window_looks_usual(self):
        values = waves(2_000, 3)
        encoder = WindowEncoder(30).fit(as_series(values))
        values[1_000:1_010, 1] += 8
        odd = as_series(values).take([1_005])
        lengths = {
            source: float(np.square(encoder.without(odd, source)).sum(axis=-1).mean())
            for source in (None, *encoder.sources)
        }
        assert lengths["x1"] < 0.2 * lengths[None]
        assert lengths["x0"] > 0.5 * lengths[None]
        assert lengths["x2"] > 0.5 * lengths[None]
