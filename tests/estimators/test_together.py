import numpy as np
import pytest

from expose import AnomalyDetector, fit_together
from expose.errors import InputError
from expose.objectives import NTL

RNG = np.random.default_rng(3)


def table(seed, rows=300, columns=4):
    X = np.random.default_rng(seed).normal(size=(rows, columns))
    X[: rows // 10] += 4
    return X


def detector(seed, **changes):
    # 300 rows in batches of 100: 10 suspects are due in each, so no lottery is played
    recipe = {"epochs": 6, "batch_size": 100}
    recipe |= {name: changes.pop(name) for name in vars(NTL.recipe) if name in changes}
    return AnomalyDetector(NTL(**recipe), random_state=seed, **({"contamination": 0.1} | changes))


@pytest.mark.parametrize(
    "changes", [{}, {"ensemble_size": 2}, {"ranking": "dataset"}, {"ranking": "running"}, {"patience": 2}]
)
def test_together_equals_alone(changes):
    tables = [table(seed) for seed in range(3)]
    together = fit_together([detector(seed, **changes) for seed in range(3)], tables)
    for seed, one in enumerate(together):
        alone = detector(seed, **changes).fit(tables[seed])
        np.testing.assert_allclose(one.anomaly_score(tables[0]), alone.anomaly_score(tables[0]), rtol=2e-3, atol=2e-4)
        np.testing.assert_allclose(one.training_scores_, alone.training_scores_, rtol=2e-3, atol=2e-4)
        assert one.ensemble_.n_members == alone.ensemble_.n_members
        assert one.threshold_score() == pytest.approx(alone.threshold_score(), rel=2e-3)


def test_each_detector_may_assume_its_own_contamination():
    tables = [table(0), table(1)]
    low, high = fit_together([detector(0, contamination=0.0), detector(1, contamination=0.2)], tables)
    assert len(low.suspects_) == 0
    assert len(high.suspects_) == 60
    alone = detector(1, contamination=0.2).fit(tables[1])
    np.testing.assert_allclose(high.anomaly_score(tables[0]), alone.anomaly_score(tables[0]), rtol=2e-3, atol=2e-4)
    assert high.history_[-1]["contamination"] == pytest.approx(0.1)  # mean of the group


def test_an_estimated_contamination_is_each_table_s_own():
    tables = [table(0), RNG.normal(size=(300, 4))]
    pair = fit_together([detector(seed, contamination="auto") for seed in range(2)], tables)
    alone = [detector(seed, contamination="auto").fit(tables[seed]) for seed in range(2)]
    assert [one.contamination_ for one in pair] == [one.contamination_ for one in alone]


def test_tables_of_other_shapes_are_fitted_too():
    tables = [table(0), table(1, rows=200), table(2, columns=3)]
    fitted = fit_together([detector(seed) for seed in range(3)], tables)
    for one, X in zip(fitted, tables, strict=True):
        assert one.anomaly_score(X).shape == (len(X),)


def test_what_comes_out_can_be_saved_and_loaded(tmp_path):
    first, _ = fit_together([detector(0), detector(1)], [table(0), table(1)])
    first.save(tmp_path / "model")
    np.testing.assert_array_equal(
        AnomalyDetector.load(tmp_path / "model").anomaly_score(table(0)), first.anomaly_score(table(0))
    )


def test_detectors_that_differ_are_refused(tmp_path):
    tables = [table(0), table(1)]
    with pytest.raises(InputError, match="one table per detector"):
        fit_together([detector(0)], tables)
    with pytest.raises(InputError, match=r"differ in \['objective'\]"):
        fit_together([detector(0), detector(1, epochs=7)], tables)
    with pytest.raises(InputError, match=r"differ in \['objective'\]"):
        fit_together([detector(0).set_params(objective=NTL(4)), detector(1).set_params(objective=NTL(5))], tables)
    with pytest.raises(InputError, match="cannot have a checkpoint"):
        fit_together([detector(s).set_params(checkpoint=tmp_path / "c") for s in (0, 1)], tables)
