"""Who takes part in a benchmark: a detector, its exposure and the name of its settings. All that knows the product.

Settings are named so that a row of results says by which rule an estimator was made:

- ``"default"``: `AnomalyDetector` as a user gets it.
- ``"brief"``: the same with about 500 optimiser steps instead of 3,000, for large grids.
- ``"published"``: what Qiu et al. 2022 and the authors' configuration files fix for thyroid and arrhythmia, and one
  rule for all other sets (`published`).
- ``"standard"``: a baseline on standardised columns, otherwise as its library has it.
- ``"own"``: an estimator that the caller brought.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from expose import AnomalyDetector, fit_together
from expose.errors import InputError
from expose.objectives import OBJECTIVES, Descend, Objective, make_objective
from expose_lab.classical import BASELINES, Baseline
from expose_lab.provenance import installed, origins

EXPOSURES = ("blind", "refine", "hard", "soft")
PLAIN = ("blind", "as is")  # stand for all of their kind where nothing is assumed to be anomalous
TRIMMED = (1, 2)  # multiples of the assumed ratio that a trimmed baseline drops before it is fitted again
BRIEF_STEPS, BRIEF_EPOCHS = 500, 100
PUBLISHED_BATCH = 128
NTL_STEPS = 1_500
ICL_STEPS, ICL_EPOCHS = 500, 100  # more, and it knows small tables by heart
FEWEST_EPOCHS = 10
JUDGING = ("expose_lab.protocols", "expose_lab.metrics.ranking")
DETECTOR = ("expose:AnomalyDetector", "expose:fit_together")


@dataclass(frozen=True)
class Contender:
    """One line of a benchmark's tables.

    Attributes
    ----------
    detector : str
        Such as "ntl" or "IsolationForest".
    exposure : str
        "blind", "refine", "hard", "soft"; for other estimators "as is" or "trimmed 1x".
    settings : str
        Name of the rule that `make` follows.
    make : Rule, Classical or Copies
        From the name of the data set, the number of training rows and of columns to an unfitted estimator with
        scikit-learn's outlier interface. Its random state and contamination are set afterwards.
    """

    detector: str
    exposure: str
    settings: str
    make: Rule | Classical | Copies

    @property
    def plain(self) -> bool:
        """Whether it is as good as any of its kind where nothing is assumed to be anomalous."""
        return self.exposure in PLAIN

    @property
    def identity(self) -> str:
        """What else determines its estimator, but our own code."""
        return self.make.identity

    @property
    def roots(self) -> list[str]:
        """Where our code that makes its rows begins, see `provenance`."""
        return [*JUDGING, *self.make.roots]

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the libraries that compute its scores."""
        packages = ("scikit-learn", "pyod") if isinstance(self.make, Classical) else ("torch", "scikit-learn")
        return {name: installed(name) for name in ("numpy", *packages)}


def ours(objectives: Iterable[str], exposures: Iterable[str] = EXPOSURES, settings: str = "default") -> list[Contender]:
    """Objectives under exposures, by name, with settings "default", "brief" or "published".

    Examples
    --------
    >>> [one.exposure for one in ours(["ntl"], ["blind", "soft"])]
    ['blind', 'soft']
    """
    if settings not in SETTINGS:
        raise InputError(f"settings must be one of {sorted(SETTINGS)}; got {settings!r}.")
    names = [(objective, exposure) for objective in objectives for exposure in exposures]
    return [Contender(*name, settings, Rule(settings, *name)) for name in names]


def baselines(names: Iterable[str], trimmed: Iterable[int] = TRIMMED) -> list[Contender]:
    """Classical detectors of `BASELINES`, as they are, and trimmed by so many times the assumed ratio."""
    found = []
    for name in names:
        if name not in BASELINES:
            raise InputError(f"Baselines are {', '.join(BASELINES)}; got {name!r}.")
        found += [Contender(name, "as is", "standard", Classical(name))]
        found += [Contender(name, f"trimmed {many}x", "standard", Classical(name, many)) for many in trimmed]
    return found


def own(estimators: Mapping[str, Any]) -> list[Contender]:
    """Estimators of the caller's own, by name."""
    found = []
    for name, estimator in estimators.items():
        exposure = estimator.exposure if isinstance(estimator, AnomalyDetector) else "as is"
        found.append(Contender(name, exposure, "own", Copies(estimator)))
    return found


@dataclass(frozen=True)
class Rule:
    """Makes an `AnomalyDetector` by a rule; a class, not a closure, so that it travels to other processes."""

    settings: str
    objective: str
    exposure: str

    def __call__(self, dataset: str, n_rows: int, n_features: int) -> AnomalyDetector:
        """Make one for this training set."""
        parameters = SETTINGS[self.settings](self.objective, dataset, n_rows, n_features)
        return AnomalyDetector(**parameters, exposure=self.exposure, device="cpu")

    @property
    def identity(self) -> str:
        """Where the code of an objective comes from that is not ours."""
        return ", ".join(origins(objective_class(self.objective).__mro__))

    @property
    def roots(self) -> list[str]:
        """The detector, the objective, and the rule."""
        return [*DETECTOR, *own_modules([objective_class(self.objective)]), f"{__name__}:{self.settings}"]


@dataclass(frozen=True)
class Classical:
    """Makes a baseline, perhaps trimmed."""

    name: str
    trimmed: int = 0
    identity = ""
    roots = ("expose_lab.classical",)

    def __call__(self, dataset: str, n_rows: int, n_features: int) -> Baseline:
        """Make one; the same for every training set."""
        return Baseline(self.name, trimmed=self.trimmed)


@dataclass(frozen=True)
class Copies:
    """Makes copies of an estimator."""

    estimator: Any

    def __call__(self, dataset: str, n_rows: int, n_features: int) -> Any:
        """Copy it, unfitted."""
        return clone(self.estimator)

    @property
    def identity(self) -> str:
        """Its parameters, and where the code of the classes in it comes from."""
        return f"{describe(self.estimator)} from {', '.join(origins(classes(self.estimator)))}"

    @property
    def roots(self) -> list[str]:
        """The modules of our classes in it."""
        found = list(classes(self.estimator))
        return [*(DETECTOR if AnomalyDetector in found else ()), *own_modules(found)]


# ------------------------------------------------------------------------------------- how a detector is made and used


def assume(estimator: Any, contamination: float | str, seed: int, n_rows: int) -> Any:
    """Set the seed and the share that may be assumed, also in steps of a pipeline; "auto" for an `AnomalyDetector`."""
    ours_ = isinstance(estimator, AnomalyDetector)
    if not ours_ and contamination != "auto":  # scikit-learn's detectors refuse 0
        contamination = max(float(contamination), 1 / n_rows)
    chosen: dict[str, Any] = {"random_state": seed}
    if contamination != "auto" or ours_:
        chosen["contamination"] = contamination
    names = [name for name in estimator.get_params(deep=True) if name.rpartition("__")[2] in chosen]
    return estimator.set_params(**{name: chosen[name.rpartition("__")[2]] for name in names})


def train_together(estimators: list[Any]) -> bool:
    """Whether these can be trained in one computation."""
    return len(estimators) > 1 and isinstance(estimators[0], AnomalyDetector)


def fit_all(estimators: list[Any], tables: list[NDArray[Any]]) -> None:
    """Fit each on its own rows, without labels."""
    if train_together(estimators):
        fit_together(estimators, tables)
        return
    for estimator, table in zip(estimators, tables, strict=True):
        estimator.fit(table)


def judge(estimator: Any, X: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Anomaly scores and the estimator's own decisions, each ``(n,)``."""
    if isinstance(estimator, AnomalyDetector):
        scores = estimator.anomaly_score(X)
        return scores, scores > estimator.threshold_score()
    scores = -np.asarray(estimator.score_samples(X), dtype=np.float64)
    return scores, np.asarray(estimator.predict(X)) == -1


def assumed_by(estimator: Any, told: float | str) -> float | None:
    """The share that a fitted estimator took for granted, its own estimate where it made one."""
    share = estimator.contamination_ if isinstance(estimator, AnomalyDetector) else told
    return None if share == "auto" else float(share)


def parameters_of(estimator: Any) -> dict[str, Any]:
    """The parameters with which it was fitted, an objective by its name and hyper-parameters."""
    parameters: dict[str, Any] = estimator.get_params(deep=False)
    if "objective" in parameters and not isinstance(parameters["objective"], str):
        parameters["objective"] = describe(parameters["objective"])
    return parameters


# --------------------------------------------------------------------------------------------------- rules of settings


def default(objective: str, dataset: str, n_rows: int, n_features: int) -> dict[str, Any]:
    """All defaults."""
    return {"objective": objective}


def brief(objective: str, dataset: str, n_rows: int, n_features: int) -> dict[str, Any]:
    """All defaults, but about 500 optimiser steps in batches of 128, in 10 to 100 epochs, where there are any."""
    if not descends(objective):
        return {"objective": objective}
    epochs = epochs_for(n_rows, PUBLISHED_BATCH, BRIEF_STEPS, BRIEF_EPOCHS)
    return {"objective": make_objective(objective, epochs=epochs, batch_size=PUBLISHED_BATCH)}


def published(objective: str, dataset: str, n_rows: int, n_features: int) -> dict[str, Any]:
    """The settings of the paper, as far as they are known, and one rule for the rest.

    Known are those of NTL on thyroid and arrhythmia, unscaled columns among them, and its widths elsewhere. The rest:
    Adam with rate 1e-3 and weight decay 1e-5, two epochs of warm-up, the weights of the epoch
    of lowest training loss; NTL with the constant on standardised columns, about 1,500 steps; ICL on unscaled columns,
    about 500 steps and at most 100 epochs. At least 10 epochs in any case, in batches of 128, or larger ones where that
    would be more steps.
    """
    if not descends(objective):
        return {"objective": objective}
    recipe: dict[str, Any] = {"weight_decay": 1e-5, "patience": 100, "warmup": 2}
    if objective == "ntl" and dataset in PUBLISHED_NTL:
        recipe |= {"epochs": 300, "batch_size": PUBLISHED_BATCH}
        known = make_objective("ntl", **PUBLISHED_NTL[dataset], **recipe, constant=0.0)
        return {"objective": known, "encoder": "unscaled"}
    steps, epochs = (NTL_STEPS, NTL_STEPS) if objective == "ntl" else (ICL_STEPS, ICL_EPOCHS)
    batch_size = max(PUBLISHED_BATCH, -(-FEWEST_EPOCHS * n_rows // steps))
    recipe |= {"batch_size": batch_size, "epochs": epochs_for(n_rows, batch_size, steps, epochs)}
    if objective == "ntl":
        return {"objective": make_objective("ntl", transform_width=n_features, **recipe), "encoder": "standard"}
    return {"objective": make_objective(objective, **recipe), "encoder": "unscaled"}


SETTINGS: dict[str, Callable[[str, str, int, int], dict[str, Any]]] = {
    rule.__name__: rule for rule in (default, brief, published)
}
PUBLISHED_NTL: dict[str, dict[str, Any]] = {
    "thyroid": {"hidden": 24, "latent": 24, "transform_width": 24},
    "arrhythmia": {"hidden": 64, "latent": 32, "transform_width": 200, "halve_every": 100},
}


def descends(objective: str) -> bool:
    """Whether an objective is trained by gradient descent, and not by remembering rows."""
    return isinstance(objective_class(objective).recipe, Descend)


def epochs_for(n_rows: int, batch_size: int, steps: int, most: int) -> int:
    """Epochs that make about so many steps, at most `most` and at least `FEWEST_EPOCHS`.

    >>> epochs_for(60, 128, 1_500, 300), epochs_for(2_000, 128, 500, 100), epochs_for(100_000, 128, 500, 100)
    (300, 31, 10)
    """
    steps_per_epoch = -(-n_rows // batch_size)
    return min(most, max(FEWEST_EPOCHS, round(steps / steps_per_epoch)))


# ------------------------------------------------------------------------------------------------- who somebody is


def objective_class(name: str) -> type[Objective]:
    """The class of an objective by name; of the default's name, that of the default for tables."""
    return OBJECTIVES["neighbours" if name == "auto" else name]


def own_modules(found: Iterable[type]) -> list[str]:
    """Modules of this distribution that define these classes or their parents."""
    modules = {parent.__module__ for cls in found for parent in cls.__mro__}
    return sorted(name for name in modules if name.partition(".")[0] in ("expose", "expose_lab"))


def classes(value: Any) -> Iterator[type]:
    """The classes of an estimator and of the estimators and objectives in it, parents too."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from classes(one)
    elif isinstance(value, dict):
        yield from classes(list(value.values()))
    else:
        yield from type(value).__mro__
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield from classes(list(value.get_params(deep=False).values()))
        if isinstance(value, AnomalyDetector) and isinstance(value.objective, str):
            yield from objective_class(value.objective).__mro__


def describe(value: Any) -> str:
    """All that determines an estimator: its class and parameters, nested ones too; the seed aside."""
    if hasattr(value, "get_params"):
        parameters = {k: v for k, v in value.get_params(deep=False).items() if k not in ("random_state", "verbose")}
    elif hasattr(value, "hyperparameters"):
        parameters = value.settings()
    elif isinstance(value, list | tuple):
        return f"[{', '.join(map(describe, value))}]"
    elif isinstance(value, np.ndarray):
        return f"array({value.shape}, {hashlib.sha256(repr(value.tolist()).encode()).hexdigest()})"
    elif hasattr(value, "__qualname__"):  # a function or a class; its repr may hold an address
        return f"{value.__module__}.{value.__qualname__}"
    else:
        return repr(value)
    inner = ", ".join(f"{name}={describe(parameters[name])}" for name in sorted(parameters))
    return f"{type(value).__module__}.{type(value).__qualname__}({inner})"
