"""scikit-learn's own checks, for every objective and every exposure, with no expected failure."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.exposure import EXPOSURES
from expose.objectives import NTL, OBJECTIVES, Autoencoder, Descend, MemoryObjective, make_objective

pytestmark = pytest.mark.filterwarnings("ignore::expose.errors.ExposeWarning")


def quick(objective: str, exposure: str) -> AnomalyDetector:
    settings = {} if issubclass(OBJECTIVES[objective], MemoryObjective) else {"epochs": 2}
    settings |= {"orders": 2} if objective == "icl" else {}
    # estimated by a forest, which takes longer than such a training: for one of the networks
    contamination = "auto" if exposure == "soft" and objective in ("autoencoder", "neighbours") else 0.1
    return AnomalyDetector(make_objective(objective, **settings), exposure=exposure, contamination=contamination)


TABLES = sorted(name for name, objective in OBJECTIVES.items() if "vector" in objective.forms)
DETECTORS = [quick(objective, "soft") for objective in TABLES]
OTHERS = sorted(set(EXPOSURES) - {"soft"})
DETECTORS += [quick(name, exposure) for name in ("autoencoder", "neighbours") for exposure in OTHERS]
DETECTORS += [AnomalyDetector(), AnomalyDetector(calibration=2), AnomalyDetector(encoder=StandardScaler())]
DETECTORS += [AnomalyDetector(NTL(epochs=2), contamination=0.1, ensemble_size=2)]
CLASSIFIERS = [
    OutlierExposureClassifier(recipe=Descend(epochs=60)),
    OutlierExposureClassifier(
        terms=["energy", "background"], recipe=Descend(epochs=60, optimizer="sgd", learning_rate=0.05)
    ),
    OutlierExposureClassifier(contamination=0.05, exposure="hard", recipe=Descend(epochs=60)),
]
RULES = [AnomalyDetector(threshold=rule, calibration=2) for rule in ("mixture", "tail", "conformal:0.2")]
OTHER_SHARE = dict.fromkeys(
    ("check_outliers_train", "check_outliers_fit_predict"), "asks for the share of contamination, which the rule is not"
)


@parametrize_with_checks([*DETECTORS, *CLASSIFIERS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_checks(RULES, expected_failed_checks=lambda _: OTHER_SHARE)
def test_scikit_learn_checks_of_named_thresholds(estimator, check):
    check(estimator)


def test_clone_pickle_pipeline_and_cross_validation():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    detector = AnomalyDetector(Autoencoder(epochs=3), random_state=0)
    fitted = clone(detector).fit(X)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).anomaly_score(X), fitted.anomaly_score(X))
    pipeline = make_pipeline(StandardScaler(), detector).fit(X)
    assert pipeline.predict(X).shape == (80,)
    assert np.isfinite(cross_val_score(detector, X, rng.integers(0, 2, 80), cv=2, scoring="roc_auc")).all()


def test_settings_of_training_are_searched_like_parameters():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    search = GridSearchCV(AnomalyDetector("autoencoder"), {"objective__epochs": [1, 2]}, scoring="roc_auc", cv=2)
    assert search.fit(X, y).best_estimator_.objective.recipe.epochs in (1, 2)
    search = GridSearchCV(OutlierExposureClassifier(), {"recipe__epochs": [1, 2]}, cv=2).fit(X, y)
    assert search.best_estimator_.recipe.epochs in (1, 2)
    given = NTL(transformations=3)
    changed = AnomalyDetector(given).set_params(objective__epochs=7, random_state=1).objective
    assert (changed.transformations, changed.recipe.epochs, given.recipe.epochs) == (3, 7, None)
    with pytest.raises(ValueError, match="has no setting 'nonsense'"):
        AnomalyDetector("ntl").set_params(objective__nonsense=1)
