"""How an objective is trained: by descending a gradient, or by remembering rows. Each has the settings it needs."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, TypeGuard, TypeVar

from expose.errors import InputError

OPTIMIZERS = ("adam", "sgd")
PRECISIONS = ("auto", "32", "bf16")
RANKINGS = ("batch", "running", "dataset")


@dataclass(frozen=True)
class Recipe:
    """What both ways of training share."""

    def changes(self, usual: Recipe) -> dict[str, Any]:
        """The settings that differ from the usual ones."""
        return {name: value for name, value in vars(self).items() if value != getattr(usual, name, None)}


@dataclass(frozen=True)
class Descend(Recipe):
    """Train by gradient descent on ``sum (1 - y) * normal + y * abnormal``.

    Parameters
    ----------
    epochs, batch_size : int or None
        None makes about 3,000 steps, in 5 to 200 epochs, with batches of 128 to 1,024 parts.
    learning_rate : float or None
        None is 0.001 for "adam" and 0.1 for "sgd".
    weight_decay : float
    halve_every : int or None
        Halve the learning rate after every so many epochs.
    optimizer : {"adam", "sgd"}
        "sgd" is with Nesterov's momentum of 0.9.
    cosine : bool or None
        Let the learning rate fall to zero along a cosine, step by step. None does so for classifiers alone.
    warmup : int
        Epochs in which every unlabelled part counts as normal, and every auxiliary outlier as anomalous, unless
        training goes on from an earlier fit.
    ranking : {"batch", "running", "dataset"}
        Over which parts the suspects' share is taken: each batch, the last batches, or all parts once per epoch.
    outlier_weight : float
        Weight of the mean loss of auxiliary outliers beside the mean loss of the training parts.
    outlier_batch_size : int or None
        None is as many as training parts.
    outlier_share : float
        Share of the auxiliary outliers that are anomalous, in (0, 1]. Below 1, as for unlabelled wild data, it is
        inferred which; the others count half as normal, half as anomalous.
    hardest : float
        Share of every batch of outliers that is trained on: those of largest loss. In (0, 1].
    joint_pass : bool
        One forward pass for training parts and outliers, so that batch normalisation sees both.
    patience : int or None
        Stop after so many epochs in which no member's training loss fell by a thousandth, and keep each member's
        weights of its epoch of lowest training loss, the warm-up aside. None trains to the end and keeps the last.
    precision : {"auto", "32", "bf16"}
        "auto" takes bf16 for wide networks on hardware that computes in it. Scores are float32 or finer.
    checkpoint_every : float
        Seconds between two checkpoints, where the estimator was given a file for them.

    Examples
    --------
    >>> Descend(epochs=20, optimizer="sgd").learning_rate is None
    True
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.0
    halve_every: int | None = None
    optimizer: str = "adam"
    cosine: bool | None = None
    warmup: int = 2
    ranking: str = "batch"
    outlier_weight: float = 1.0
    outlier_batch_size: int | None = None
    outlier_share: float = 1.0
    hardest: float = 1.0
    joint_pass: bool = True
    patience: int | None = None
    precision: str = "auto"
    checkpoint_every: float = 30.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "outlier_batch_size", "patience", "halve_every"):
            check_number(name, getattr(self, name), 1, whole=True, optional=True)
        check_number("warmup", self.warmup, 0, whole=True)
        check_number("learning_rate", self.learning_rate, 0, whole=False, optional=True)
        for name in ("weight_decay", "outlier_weight", "checkpoint_every"):
            check_number(name, getattr(self, name), 0, whole=False)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("ranking", self.ranking, RANKINGS)
        check_choice("precision", self.precision, PRECISIONS)
        for name in ("outlier_share", "hardest"):
            share = getattr(self, name)
            if not is_number(share) or not 0 < share <= 1:
                raise InputError(f"{name} must be a share of the outliers in (0, 1]; got {share!r}.")


@dataclass(frozen=True)
class Remember(Recipe):
    """Remember training parts, assign weights to them once, and refit to the weights. No gradient.

    Parameters
    ----------
    reference_points : int
        Most parts remembered. Of more training parts each member draws its own, at random.
    """

    reference_points: int = 2048

    def __post_init__(self) -> None:
        check_number("reference_points", self.reference_points, 2, whole=True)


Some = TypeVar("Some", bound=Recipe)


def with_settings(usual: Some, settings: dict[str, Any], owner: str) -> Some:
    """The usual recipe with some settings changed.

    Raises
    ------
    InputError
        For a setting that it does not have, or a value that makes no sense.
    """
    names = [field.name for field in fields(usual)]
    foreign = sorted(settings.keys() - set(names))
    if foreign:
        raise InputError(
            f"{owner} has no setting {', '.join(map(repr, foreign))}. Beside its own parameters it takes those of its "
            f"training, {type(usual).__name__}: {', '.join(names)}."
        )
    return replace(usual, **settings)


# ------------------------------------------------------------------------------------------------ small checks


def is_number(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a real number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raise InputError unless ``value`` is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} must be one of {list(choices)}; got {value!r}.")


def check_number(name: str, value: Any, lowest: float, *, whole: bool, optional: bool = False) -> None:
    """Raise InputError unless ``value`` is a finite number of at least ``lowest``."""
    if optional and value is None:
        return
    fits = is_number(value) and (isinstance(value, Integral) or not whole)
    if not (fits and lowest <= float(value) < math.inf):
        what = "a whole number" if whole else "a finite number"
        extra = " or None" if optional else ""
        raise InputError(f"{name} must be {what} of at least {lowest}{extra}; got {value!r}.")
