"""Who takes part in a benchmark: a detector, its exposure and the name of its settings.

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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from expose.errors import InputError
from expose.estimators import AnomalyDetector
from expose.evaluation.baselines import BASELINES, Baseline
from expose.objectives import NTL, OBJECTIVES, MemoryObjective

EXPOSURES = ("blind", "refine", "hard", "soft")
TRIMMED = (1, 2)  # multiples of the assumed ratio that a trimmed baseline drops before it is fitted again
BRIEF_STEPS, BRIEF_EPOCHS = 500, 100
PUBLISHED_BATCH = 128
NTL_STEPS = 1_500
ICL_STEPS, ICL_EPOCHS = 500, 100  # more, and it knows small tables by heart (docs/notes.md)
FEWEST_EPOCHS = 10
Make = Callable[[str, int, int], Any]


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
    make : callable
        From the name of the data set, the number of training rows and of columns to an unfitted estimator with
        scikit-learn's outlier interface. Its random state and contamination are set afterwards.
    identity : str
        What else determines the estimator, for one that the caller brought.
    """

    detector: str
    exposure: str
    settings: str
    make: Make
    identity: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is as good as any of its kind where nothing is assumed to be anomalous."""
        return self.exposure in ("blind", "as is")


def ours(objectives: Iterable[str], exposures: Iterable[str] = EXPOSURES, settings: str = "default") -> list[Contender]:
    """Objectives under exposures.

    Parameters
    ----------
    objectives, exposures : iterable of str
        Names as `AnomalyDetector` takes them.
    settings : {"default", "brief", "published"}

    Examples
    --------
    >>> [one.exposure for one in ours(["ntl"], ["blind", "soft"])]
    ['blind', 'soft']
    """
    if settings not in SETTINGS:
        raise InputError(f"settings must be one of {sorted(SETTINGS)}; got {settings!r}.")
    names = [(objective, exposure) for objective in objectives for exposure in exposures]
    return [Contender(*name, settings, Maker(SETTINGS[settings], *name)) for name in names]


def baselines(names: Iterable[str], trimmed: Iterable[int] = TRIMMED) -> list[Contender]:
    """Classical detectors, as they are and trimmed.

    Parameters
    ----------
    names : iterable of str
        Of `expose.evaluation.baselines.BASELINES`.
    trimmed : iterable of int
        Trim this many times the assumed ratio and fit again.
    """
    found = []
    for name in names:
        if name not in BASELINES:
            raise InputError(f"Baselines are {', '.join(BASELINES)}; got {name!r}.")
        found += [Contender(name, "as is", "standard", Classical(name))]
        found += [Contender(name, f"trimmed {many}x", "standard", Classical(name, many)) for many in trimmed]
    return found


def brought(estimators: Mapping[str, Any]) -> list[Contender]:
    """Estimators of the caller's own, by name."""
    found = []
    for name, estimator in estimators.items():
        exposure = estimator.exposure if isinstance(estimator, AnomalyDetector) else "as is"
        found.append(Contender(name, exposure, "own", Copies(estimator), describe(estimator)))
    return found


@dataclass(frozen=True)
class Maker:
    """Makes an `AnomalyDetector` by a rule; a class, not a closure, so that it travels to other processes."""

    rule: Callable[[str, str, int, int], dict[str, Any]]
    objective: str
    exposure: str

    def __call__(self, dataset: str, n_rows: int, n_features: int) -> AnomalyDetector:
        """Make one for this training set."""
        parameters = {"objective": self.objective} | self.rule(self.objective, dataset, n_rows, n_features)
        return AnomalyDetector(exposure=self.exposure, device="cpu", **parameters)


@dataclass(frozen=True)
class Classical:
    """Makes a baseline, perhaps trimmed."""

    name: str
    trimmed: int = 0

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


def default(objective: str, dataset: str, n_rows: int, n_features: int) -> dict[str, Any]:
    """All defaults."""
    return {}


def brief(objective: str, dataset: str, n_rows: int, n_features: int) -> dict[str, Any]:
    """All defaults, but about 500 optimiser steps in batches of 128, in 10 to 100 epochs, where there are any."""
    if remembers(objective):
        return {}
    return {"batch_size": PUBLISHED_BATCH, "epochs": epochs_for(n_rows, PUBLISHED_BATCH, BRIEF_STEPS, BRIEF_EPOCHS)}


def published(objective: str, dataset: str, n_rows: int, n_features: int) -> dict[str, Any]:
    """The settings of the paper, as far as they are known, and one rule for the rest.

    Known are those of NTL on thyroid and arrhythmia, unscaled columns among them, and its widths elsewhere. The rest,
    chosen in docs/notes.md: Adam with rate 1e-3 and weight decay 1e-5, two epochs of warm-up, the weights of the epoch
    of lowest training loss; NTL with the constant on standardised columns, about 1,500 steps; ICL on unscaled columns,
    about 500 steps and at most 100 epochs. At least 10 epochs in any case, in batches of 128, or larger ones where that
    would be more steps.
    """
    if remembers(objective):
        return {}
    parameters: dict[str, Any] = {"scaling": "none", "weight_decay": 1e-5, "patience": 100, "warmup": 2}
    if objective == "ntl" and dataset in PUBLISHED_NTL:
        known = {"objective": NTL(**PUBLISHED_NTL[dataset], constant=0.0), "batch_size": PUBLISHED_BATCH}
        return parameters | known | {"epochs": 300, "halve_every": 100 if dataset == "arrhythmia" else None}
    if objective == "ntl":
        parameters |= {"objective": NTL(transform_width=n_features), "scaling": "standard"}
    steps, epochs = (NTL_STEPS, NTL_STEPS) if objective == "ntl" else (ICL_STEPS, ICL_EPOCHS)
    batch_size = max(PUBLISHED_BATCH, -(-FEWEST_EPOCHS * n_rows // steps))
    return parameters | {"batch_size": batch_size, "epochs": epochs_for(n_rows, batch_size, steps, epochs)}


def remembers(objective: str) -> bool:
    """Whether an objective remembers rows instead of training a network."""
    return issubclass(OBJECTIVES[objective], MemoryObjective)


PUBLISHED_NTL: dict[str, dict[str, int]] = {
    "thyroid": {"hidden": 24, "latent": 24, "transform_width": 24},
    "arrhythmia": {"hidden": 64, "latent": 32, "transform_width": 200},
}


def epochs_for(n_rows: int, batch_size: int, steps: int, most: int) -> int:
    """Epochs that make about so many steps, at most `most` and at least `FEWEST_EPOCHS`.

    >>> epochs_for(60, 128, 1_500, 300), epochs_for(2_000, 128, 500, 100), epochs_for(100_000, 128, 500, 100)
    (300, 31, 10)
    """
    steps_per_epoch = -(-n_rows // batch_size)
    return min(most, max(FEWEST_EPOCHS, round(steps / steps_per_epoch)))


SETTINGS = {"default": default, "brief": brief, "published": published}


def describe(value: Any) -> str:
    """All that determines an estimator: its class and parameters, nested ones too; the seed aside."""
    if hasattr(value, "get_params"):
        parameters = {k: v for k, v in value.get_params(deep=False).items() if k not in ("random_state", "verbose")}
    elif hasattr(value, "hyperparameters"):
        parameters = value.hyperparameters()
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
