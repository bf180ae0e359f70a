import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expose.decide import rms_calibration_error
from expose.errors import InputError
from expose_lab import (
    auroc,
    average_precision,
    fnr_at_tnr,
    fpr_at_tpr,
    mad_calibration_error,
    outlier_calibration,
    outlier_detection,
    over_seeds,
    soft_f1,
)

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=500)
FAR, NEAR = RNG.normal(size=400) + 5, RNG.normal(size=300) + 1


def test_a_sixth_of_the_rows_are_outliers_of_each_source():
    result = outlier_detection(NORMAL, {"far": FAR, "near": NEAR})
    for source in result.sources.values():
        assert (source.n_normal, source.n_outliers) == (500, 100)
        assert source.measured.mean["base_rate"] == pytest.approx(1 / 6)
    for metric, value in result.mean.mean.items():
        each = [source.measured.mean[metric] for source in result.sources.values()]
        assert value == pytest.approx(np.mean(each))
    assert result.normal_only.mean == {}


def test_the_number_of_outliers_is_not_lost_to_rounding():
    assert 0.29 * 100 < 29  # as floats
    assert outlier_detection(NORMAL[:100], {"far": FAR}, ratio=0.29).sources["far"].n_outliers == 29
    assert outlier_detection(NORMAL[:99], {"far": FAR}).sources["far"].n_outliers == 19  # 19.8, rounded down


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_a_source_of_just_enough_outliers_is_used_whole_and_has_no_spread(level):
    result = outlier_detection(NORMAL, {"all": NEAR[:100]}, level=level)
    y, scores = np.repeat([0, 1], [500, 100]), np.concatenate([NORMAL, NEAR[:100]])
    measured = result.sources["all"].measured
    assert measured.mean == pytest.approx(
        {
            "fpr_at_tpr": fpr_at_tpr(y, scores, level),
            "fnr_at_tnr": fnr_at_tnr(y, scores, level),
            "auroc": auroc(y, scores),
            "average_precision": average_precision(y, scores),
            "base_rate": 1 / 6,
        }
    )
    assert set(measured.resample_std.values()) == {0.0}


def test_resamples_differ_from_each_other_and_average_to_the_whole():
    result = outlier_detection(NORMAL, {"near": NEAR}, resamples=60)
    whole = auroc(np.repeat([0, 1], [500, 300]), np.concatenate([NORMAL, NEAR]))
    spread = result.sources["near"].measured.resample_std["auroc"]
    assert spread > 0.005
    assert result.mean.mean["auroc"] == pytest.approx(whole, abs=4 * spread / np.sqrt(60))
    assert len({outlier_detection(NORMAL, {"near": NEAR}, seed=seed).mean.mean["auroc"] for seed in (0, 1)}) == 2


def test_too_few_outliers_are_all_used_against_fewer_normal_rows_and_that_is_said():
    result = outlier_detection(NORMAL, {"few": NEAR[:30], "near": NEAR})
    few = result.sources["few"]
    assert (few.n_normal, few.n_outliers, few.n_available) == (150, 30, 30)
    assert few.measured.mean["base_rate"] == pytest.approx(1 / 6)
    assert few.measured.resample_std["auroc"] > 0  # the normal rows are drawn anew
    last = result.table().splitlines()[-1]
    assert last.startswith("few: 30 outliers are too few for 500 normal rows")
    assert "150 normal rows" in last
    assert "too few" not in outlier_detection(NORMAL, {"near": NEAR}).table()


def test_draws_depend_on_the_source_and_the_seed_only():
    one = outlier_detection(NORMAL, {"near": NEAR})
    two = outlier_detection(NORMAL, {"far": FAR, "near": NEAR})
    assert one.sources["near"] == two.sources["near"]
    again = outlier_detection(NORMAL, {"near": NEAR, "far": FAR})
    assert dict(again.sources) == dict(two.sources)
    assert again.mean.mean == pytest.approx(two.mean.mean)
    other = outlier_detection(NORMAL, {"of another name": NEAR})
    assert other.mean != one.mean


def test_two_scores_of_the_same_rows_are_judged_on_the_same_draws():
    first = outlier_detection(NORMAL, {"near": NEAR})
    second = outlier_detection(np.exp(NORMAL), {"near": np.exp(NEAR)})  # the same ranking
    assert first.sources == second.sources


@given(st.integers(5, 60), st.integers(1, 60), st.sampled_from([0.2, 0.5, 1.0]), st.integers(0, 5))
@settings(deadline=None, max_examples=40)
def test_the_share_of_outliers_is_kept_whatever_there_is(n_normal, n_outliers, ratio, seed):
    scores = np.arange(n_normal + n_outliers)
    result = outlier_detection(scores[:n_normal], {"s": scores[n_normal:]}, ratio=ratio, resamples=2, seed=seed)
    source = result.sources["s"]
    assert 1 <= source.n_outliers <= n_outliers
    assert 1 <= source.n_normal <= n_normal
    assert source.n_normal == n_normal or source.n_outliers == n_outliers  # one of them is used whole
    assert abs(source.n_outliers - ratio * source.n_normal) <= 1
    assert source.measured.mean["auroc"] == 1  # no row is on both sides


def predicted(rng, n=1000):
    confidence = rng.uniform(0.3, 1, n)
    return rng.random(n) < confidence, confidence


def test_mixed_and_normal_only_calibration_stand_side_by_side():
    correct, confidence = predicted(np.random.default_rng(0))
    doubted, sure = np.full(200, 0.05), np.full(200, 0.95)
    result = outlier_calibration(correct, confidence, {"doubted": doubted, "sure": sure})
    alone = {
        "rms": rms_calibration_error(correct, confidence),
        "mad": mad_calibration_error(correct, confidence),
        "soft_f1": soft_f1(correct, confidence),
        "accuracy": correct.mean(),
    }
    assert result.normal_only.mean == pytest.approx(alone)
    mixed = np.concatenate([correct, np.zeros(200, bool)])
    whole = rms_calibration_error(mixed, np.concatenate([confidence, sure]))
    assert result.sources["sure"].measured.mean["rms"] == pytest.approx(whole)
    assert result.sources["sure"].measured.mean["accuracy"] == pytest.approx(correct.sum() / 1200)
    assert result.sources["doubted"].measured.mean["rms"] < 0.1 < whole
    assert result.mean.mean["rms"] == pytest.approx(
        np.mean([source.measured.mean["rms"] for source in result.sources.values()])
    )


def test_the_share_of_outliers_in_the_mixture_is_free():
    correct, confidence = np.ones(100, bool), np.ones(100)
    for ratio in (0.2, 0.5, 1.0):
        result = outlier_calibration(correct, confidence, {"sure": np.ones(100)}, ratio=ratio)
        assert result.mean.mean["mad"] == pytest.approx(ratio / (1 + ratio))  # the share that is surely wrong
        assert result.normal_only.mean["mad"] == 0


def test_the_spread_over_trained_seeds_is_another_than_over_resamples():
    scores = [(NORMAL, {"near": NEAR + shift}) for shift in (0.0, 0.3, 0.9)]
    each = [outlier_detection(normal, near) for normal, near in scores]
    together = over_seeds(each)
    values = [one.sources["near"].measured.mean["auroc"] for one in each]
    measured = together.sources["near"].measured
    assert measured.mean["auroc"] == pytest.approx(np.mean(values))
    assert measured.seed_std["auroc"] == pytest.approx(np.std(values, ddof=1))
    assert measured.resample_std["auroc"] == pytest.approx(
        np.mean([one.sources["near"].measured.resample_std["auroc"] for one in each])
    )
    assert measured.seed_std["auroc"] > 2 * measured.resample_std["auroc"]
    assert "over 3 trained seeds" in together.table()
    assert "over 10 resamples of one trained model" in each[0].table()
    assert each[0].mean.seed_std == {}


def test_records_are_flat_and_fit_into_json():
    correct, confidence = predicted(np.random.default_rng(0))
    result = outlier_calibration(correct, confidence, {"a": [0.1] * 300, "b": np.linspace(0, 1, 300)})
    records = json.loads(json.dumps(result.records(), allow_nan=False))
    assert [record["source"] for record in records] == ["a", "b", "mean", "normal only"]
    assert [record["n_outliers"] for record in records] == [200, 200, None, 0]
    assert "rms_resample_std" in records[1]
    assert "rms_resample_std" not in records[3]  # nothing was drawn
    assert "rms_seed_std" not in records[1]
    both = over_seeds([result, result]).records()
    assert [record["rms_seed_std"] for record in both] == [0, 0, 0, 0]


def test_the_table_has_a_line_for_each_record_in_percent():
    lines = outlier_detection(NORMAL, {"far": FAR, "near": NEAR}, level=0.9).table().splitlines()
    assert "FPR at TPR 90" in lines[1]
    assert "FNR at TNR 90" in lines[1]
    assert [line.split()[0] for line in lines[2:]] == ["far", "near", "mean"]
    assert "16.67" in lines[2]
    assert len({len(line) for line in lines[1:]}) == 1
    one = outlier_detection(NORMAL, {"far": FAR}, resamples=1)
    assert "±" not in "".join(one.table().splitlines()[2:])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: outlier_detection(NORMAL, {}), "at least one source"),
        (lambda: outlier_detection(NORMAL, {"s": []}), "the scores of 's'"),
        (lambda: outlier_detection([0.0, np.nan], {"s": [1.0]}), "normal_scores"),
        (lambda: outlier_detection(NORMAL[:4], {"s": FAR}), "not even one outlier"),
        (lambda: outlier_detection(NORMAL, {"s": FAR}, ratio=0), "not even one outlier"),
        (lambda: outlier_detection(NORMAL, {"s": FAR}, level=1.5), "tpr must be"),
        (lambda: outlier_detection(NORMAL, {"s": FAR}, resamples=0), "resamples >= 1"),
        (lambda: outlier_detection(NORMAL, {"s": FAR}, seed=-1), "seed >= 0"),
        (lambda: outlier_calibration([True] * 9, [0.5] * 9, {"s": [2.0] * 3}), "probability"),
        (lambda: outlier_calibration([True] * 9, [0.5] * 8, {"s": [0.5] * 3}), "same length"),
        (lambda: over_seeds([outlier_detection(NORMAL, {"s": FAR})]), "two or more"),
        (
            lambda: over_seeds([outlier_detection(NORMAL, {"s": FAR}, level=level) for level in (0.9, 0.95)]),
            "not of the same protocol",
        ),
        (
            lambda: over_seeds([outlier_detection(NORMAL, {name: FAR}) for name in "ab"]),
            "not of the same protocol",
        ),
    ],
)
def test_useless_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
