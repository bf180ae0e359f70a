import pickle
from importlib import import_module

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from expose import AnomalyDetector
from expose.errors import InputError
from expose.objectives import NTL
from expose_lab import baselines, ours
from expose_lab.classical import BASELINES, Baseline
from expose_lab.contenders import EXPOSURES, SETTINGS, describe, own
from expose_lab.grid import PROTOCOLS
from expose_lab.runner import BACKENDS


def test_objectives_under_exposures():
    who = ours(["ntl", "icl"])
    assert [(one.detector, one.exposure) for one in who] == [
        (objective, exposure) for objective in ("ntl", "icl") for exposure in EXPOSURES
    ]
    assert [one.plain for one in who[:4]] == [True, False, False, False]
    made = who[3].make("wine", 100, 13)
    assert (made.objective, made.exposure, made.device) == ("ntl", "soft", "cpu")
    default = AnomalyDetector("ntl", exposure="soft", device="cpu")
    assert made.get_params() == default.get_params()
    remembers = ours(["neighbours"], ["soft"], "brief")[0].make("wine", 100, 13)
    assert remembers.objective == "neighbours"


@pytest.mark.parametrize(("rows", "epochs"), [(60, 100), (2_000, 31), (100_000, 10)])
def test_brief_is_about_500_steps(rows, epochs):
    [who] = ours(["icl"], ["soft"], "brief")
    made = who.make("wine", rows, 13)
    recipe = made.objective.recipe
    assert (recipe.batch_size, recipe.epochs) == (128, epochs)


def test_published_is_what_the_paper_fixes_and_one_rule_for_the_rest():
    [ntl] = ours(["ntl"], ["hard"], "published")
    thyroid, arrhythmia, wine = (
        ntl.make(*set_) for set_ in [("thyroid", 2043, 6), ("arrhythmia", 214, 274), ("wine", 60, 13)]
    )
    assert thyroid.objective.hyperparameters()["latent"] == 24
    assert (arrhythmia.objective.recipe.halve_every, arrhythmia.objective.transform_width) == (100, 200)
    assert wine.objective.hyperparameters()["transform_width"] == 13
    assert [one.encoder for one in (thyroid, arrhythmia, wine)] == ["unscaled", "unscaled", "standard"]
    assert {one.objective.recipe.batch_size for one in (thyroid, arrhythmia, wine)} == {128}
    [icl] = ours(["icl"], ["blind"], "published")
    large = icl.make("http", 280_000, 3)
    assert large.objective.recipe.epochs == 10
    assert large.objective.recipe.batch_size == 5_600


def test_baselines_plain_and_trimmed():
    who = baselines(["LOF", "MCD"], trimmed=[1])
    assert [(one.detector, one.exposure, one.plain) for one in who] == [
        ("LOF", "as is", True),
        ("LOF", "trimmed 1x", False),
        ("MCD", "as is", True),
        ("MCD", "trimmed 1x", False),
    ]
    assert who[1].make("wine", 60, 13).get_params() == Baseline("LOF", trimmed=1).get_params()
    assert len(baselines(BASELINES)) == 27


def test_wrong_names_are_told_the_right_ones():
    with pytest.raises(InputError, match=r"brief.*default.*published"):
        ours(["ntl"], settings="quick")
    with pytest.raises(InputError, match="IsolationForest, LOF"):
        baselines(["Forest"])


def test_ones_own_estimators_are_copied():
    forest = IsolationForest()
    one, other = own({"forest": forest, "mine": AnomalyDetector(exposure="hard")})
    assert (one.detector, one.exposure, one.settings, one.plain) == ("forest", "as is", "own", True)
    assert (other.exposure, other.plain) == ("hard", False)
    assert one.make("wine", 60, 13) is not forest


def test_a_description_holds_all_that_determines_an_estimator():
    pipe = make_pipeline(StandardScaler(), IsolationForest(n_estimators=7, random_state=1))
    text = describe(pipe)
    assert "StandardScaler" in text
    assert "n_estimators=7" in text
    assert text == describe(make_pipeline(StandardScaler(), IsolationForest(n_estimators=7, random_state=2)))
    assert text != describe(make_pipeline(StandardScaler(with_mean=False), IsolationForest(n_estimators=7)))
    assert describe(AnomalyDetector(NTL(hidden=8))) != describe(AnomalyDetector(NTL(hidden=9)))
    assert describe(AnomalyDetector(NTL(hidden=8))) == describe(AnomalyDetector(NTL(hidden=8)))
    assert describe(AnomalyDetector(NTL(epochs=8))) != describe(AnomalyDetector(NTL(epochs=9)))


@pytest.mark.parametrize(
    "one", [*ours(["ntl"], settings="published"), *baselines(["LOF"])], ids=lambda one: f"{one.detector} {one.exposure}"
)
def test_contenders_travel_to_other_processes(one):
    again = pickle.loads(pickle.dumps(one))
    assert (again.detector, again.exposure) == (one.detector, one.exposure)
    assert type(again.make("wine", 60, 13)) is type(one.make("wine", 60, 13))


def test_the_command_offers_what_there_is():
    """It lists the names itself so that its help is quick."""
    command = import_module("expose_lab.cli.bench")
    assert list(command.BASELINES) == list(BASELINES)
    assert set(command.SETTINGS) == set(SETTINGS)
    assert (command.PROTOCOLS, command.BACKENDS) == (PROTOCOLS, BACKENDS)


def test_functions_and_long_arrays_are_told_apart_by_what_they_are():
    long = np.zeros(5000)
    assert describe(np.log1p) == describe(np.log1p)
    assert describe(FunctionTransformer(first)) == describe(FunctionTransformer(first))
    assert describe(FunctionTransformer(first)) != describe(FunctionTransformer(second))
    assert describe(long) == describe(long.copy())
    long[2500] = 1
    assert describe(long) != describe(np.zeros(5000))
    assert "0x" not in describe(FunctionTransformer(first))


def first(X):
    return X


def second(X):
    return -X
