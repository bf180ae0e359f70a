"""What an objective is: a network and two losses per row. It never knows which rows are anomalous.

A new objective is one file: subclass `Objective`, decorate it with ``@register("name")`` and import it in
``objectives/__init__.py``. Tests, the command line and the docs find it through `OBJECTIVES`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from expose.encoders.layout import Layout
from expose.errors import InputError
from expose.objectives.recipes import Descend, Recipe, Remember, check_number, with_settings

OBJECTIVES: dict[str, type[Objective]] = {}


class Losses(NamedTuple):
    """The two losses of every row of a batch, each ``(B,)`` (``(M, B)`` for M members) and finite."""

    normal: Tensor
    abnormal: Tensor


class Objective(nn.Module):
    """Base class of all objectives.

    ``__init__`` takes hyper-parameters and stores each under its own name; further keywords are the settings of the
    recipe, by which it is trained. `build` makes the layers once it is known what the parts are. `losses` must be
    finite for finite parts, also where its value ends up unused: a NaN in an ``abnormal`` loss that no part uses still
    poisons the gradient.

    Attributes
    ----------
    forms : tuple of str
        Of encoded parts that it can be trained on, see `expose.encoders.Layout`.
    encoders : dict of str to str
        The encoder that it prefers for a kind of samples, where it prefers one.
    preferred_exposure : str
        What "auto" takes.
    varied_share : float
        The share of anomalies to assume where samples show many different things and nobody says a share: one that is
        of use with any true share, and cheap with none (docs/notes/contamination.md). 0 leaves the estimate.
    needs_anomalies : bool
        Outliers, known anomalies or suspects: without any it learns to call all normal.
    recipe : Descend or Remember
    components : dict of str to str
        Names of the scores that the score is the largest of, if it is, each with what a high one says of a sample. See
        `component_scores`.
    placeless : str
        The one of these that comes from no place of a sample; the score is then the logarithm of the mean of all their
        exponentials. Empty where places carry all of the score.
    smallest_tile : int
        The fewest rows that may be scored at once, see `expose.training.tiles`. On a CPU torch takes 32 numbers at a
        time and the rest one by one, of which softplus, sigmoid and their like have other last digits, too seldom for
        a trial to tell. Without such functions it may be as low as 4, and few rows cost less.
    in_sample : float
        How far scores of the rows that were trained on may lie from those of other rows alike, as a distance of
        Kolmogorov and Smirnov, of a thousand training rows or more: what `expose.decide.Drift` tolerates. 1 where they
        say nothing of other rows.
    lowest : dict of str to int or float
        The lowest value that a hyper-parameter may have. Whole numbers of those whose lowest is one; None where that
        is the default.

    Examples
    --------
    See ``docs/your-own-objective.md`` for one in 25 lines.
    """

    name: str = ""
    forms: tuple[str, ...] = ("vector",)
    encoders: Mapping[str, str] = {}
    preferred_exposure: str = "soft"
    varied_share: float = 0.0
    needs_anomalies: bool = False
    recipe: Recipe = Descend()
    components: Mapping[str, str] = {}
    placeless: str = ""
    smallest_tile: int = 32
    in_sample: float = 0.25
    lowest: Mapping[str, float] = {}
    layout: Layout | None = None  # what `build` was given

    def __init__(self, **training: Any) -> None:
        super().__init__()
        self.recipe = with_settings(type(self).recipe, training, type(self).__name__)

    def check(self) -> None:
        """Raise InputError for a hyper-parameter that makes no sense; called before `build`."""
        defaults = inspect.signature(type(self).__init__).parameters
        for name, lowest in self.lowest.items():
            optional = name in defaults and defaults[name].default is None
            check_number(name, getattr(self, name), lowest, whole=isinstance(lowest, int), optional=optional)

    def build(self, layout: Layout) -> None:
        """Make the layers for parts of a layout. Called once, under the member's own seed."""
        raise TypeError(f"{type(self).__name__} must define build(layout), which makes its layers.")

    def prepare(self, rows: Tensor) -> None:
        """Set what depends on the data before training, from a sample of training parts ``(n, D)``; nothing by default.

        Keep it in buffers (``register_buffer`` in `build`): only parameters and buffers are saved, and each member
        has its own.
        """

    def losses(self, batch: Tensor) -> Losses:
        """Normal and abnormal loss of each part of ``batch`` ``(B, D)``, each ``(B,)``."""
        raise TypeError(f"{type(self).__name__} must define losses(batch), which returns Losses(normal, abnormal).")

    def score(self, batch: Tensor) -> Tensor:
        """Anomaly score ``(B,)``, higher = more anomalous. By default the normal loss (Qiu et al., 2022, sec. 3.3)."""
        return self.losses(batch).normal

    def component_scores(self, batch: Tensor) -> Tensor:
        """Scores ``(B, K)`` of which `score` is the largest, in the order of `components`; for objectives with some."""
        raise TypeError(f"{type(self).__name__} has no components.")

    def part_scores(self, batch: Tensor) -> Tensor:
        """Scores of the places of each part of the form "grid", ``(B, P)``; higher = more anomalous."""
        raise TypeError(f"{type(self).__name__} does not tell places apart.")

    def with_places(self, batch: Tensor) -> Tensor:
        """`score` and `part_scores` side by side, ``(B, 1 + P)``; each place is judged once where one has the other."""
        return torch.cat([self.score(batch)[:, None], self.part_scores(batch)], dim=1)

    def pairwise_distances(self, rows: Tensor) -> Tensor:
        """Distances of all pairs ``(n, n)``: along them labels spread, and by them queries are made diverse."""
        return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")

    def diagnose(self, rows: Tensor) -> str | None:
        """Say in one sentence what went wrong in training, judged on training parts ``(n, D)``; None if nothing."""
        return None

    def forward(self, batch: Tensor, method: str = "losses", *more: Tensor) -> Any:
        """Call ``losses`` or ``score`` by name, so that torch can wrap or batch either."""
        return getattr(self, method)(batch, *more)

    def hyperparameters(self) -> dict[str, Any]:
        """The constructor's arguments, as stored; what a model folder keeps of an objective beside its recipe."""
        return {name: getattr(self, name) for name in declared(type(self))[0]}

    def settings(self) -> dict[str, Any]:
        """Hyper-parameters, and what was changed of the recipe: with these the constructor makes the same again."""
        return self.hyperparameters() | self.recipe.changes(type(self).recipe)


class MemoryObjective(Objective):
    """Base class of objectives that remember rows instead of training weights.

    `remember` is what `prepare` is to others, and one `refit` all optimiser steps; neither uses a gradient. There
    is nothing to descend, so its losses are one number: the score, and its negative.
    """

    recipe: Recipe = Remember()
    in_sample: float = 0.1  # a remembered row is judged without itself

    def prepare(self, rows: Tensor) -> None:
        """Remember all of these rows, none a known anomaly."""
        self.remember(rows, torch.ones(len(rows)))

    def remember(self, rows: Tensor, present: Tensor) -> Tensor:
        """Remember exactly these rows ``(R, D)``; ``present`` ``(R,)`` is 0 for known anomalies, else 1.

        Returns how far from all others each lies, ``(R,)``, higher = further: evidence for the contamination.
        """
        raise TypeError(f"{type(self).__name__} must define remember(rows, present).")

    def evidence(self, rows: Tensor) -> Tensor:
        """What `remember` returns for rows ``(R, D)`` that are remembered for that alone, ``(R,)``."""
        return self.remember(rows, torch.ones(len(rows)))

    def refit(self, keep_normal: Tensor, keep_abnormal: Tensor) -> None:
        """Take over the weights that the exposure gave the remembered rows, ``(R,)`` each."""
        raise TypeError(f"{type(self).__name__} must define refit(keep_normal, keep_abnormal).")

    def learn(self, known: Tensor, share: float) -> None:
        """Make more of what somebody said of remembered rows, after `refit`; nothing by default.

        ``known`` ``(R,)`` is 1 for known anomalies, 0 for known normal rows, else -1; ``share`` is that of the
        anomalies among the others.
        """


def nearest_rows(objective: Objective, rows: Tensor, count: int) -> Tensor:
    """Numbers of the ``count`` nearest other rows of each row, or of all others: ``(n, D) -> (n, count)``."""
    distances = objective.pairwise_distances(rows).fill_diagonal_(torch.inf)
    return distances.topk(min(count, len(rows) - 1), dim=-1, largest=False).indices


def full_precision(batch: Tensor) -> torch.autocast:
    """A block in which autocast does not round products to bf16: similarities over a small temperature need more."""
    return torch.autocast(batch.device.type, enabled=False)


def register(name: str) -> Callable[[type[Objective]], type[Objective]]:
    """Make an objective known by ``name`` to the estimator, the command line, the tests and saved models."""

    def add(cls: type[Objective]) -> type[Objective]:
        cls.name = name
        OBJECTIVES[name] = cls
        return cls

    return add


def make_objective(objective: str | Objective, **settings: Any) -> Objective:
    """Return a fresh, unbuilt objective.

    Parameters
    ----------
    objective : str or Objective
        A registered name, or an instance, of which a copy is returned.
    **settings
        With a name: hyper-parameters of the objective, and settings of its recipe.

    Raises
    ------
    InputError
        If the name is not registered, or a setting is not one of its own.
    TypeError
        If it is neither a name nor an `Objective`.

    Examples
    --------
    >>> make_objective("ntl", epochs=5).recipe.epochs
    5
    """
    if isinstance(objective, Objective):
        return copy.deepcopy(objective)
    if isinstance(objective, type):
        name = getattr(objective, "name", "")
        way = f"{objective.__name__}()" + (f" or {name!r}" if name else "")
        raise TypeError(f"objective must be a name or an Objective instance; got a class. Write {way}.")
    if not isinstance(objective, str):
        raise TypeError(f"objective must be a name or an Objective instance; got {type(objective).__name__}.")
    if objective not in OBJECTIVES:
        raise InputError(f"objective must be one of {sorted(OBJECTIVES)} or an Objective instance; got {objective!r}.")
    return OBJECTIVES[objective](**settings)


def with_changes(objective: str | Objective, settings: Mapping[str, Any]) -> Objective:
    """A fresh objective like a named one or an instance, with some settings changed; the one given stays as it is.

    Examples
    --------
    >>> with_changes("ntl", {"epochs": 5}).recipe.epochs
    5
    """
    if isinstance(objective, Objective):
        return type(objective)(**{**objective.settings(), **settings})
    return make_objective(objective, **settings)


def allowed_settings(objective: type[Objective]) -> dict[str, Any]:
    """Names and defaults of all that the constructor of an objective takes, its recipe included."""
    own, open_to_more = declared(objective)
    return own | (vars(objective.recipe) if open_to_more else {})


def declared(objective: type[Objective]) -> tuple[dict[str, Any], bool]:
    """Names and defaults of the constructor's own arguments, and whether it passes others on to the recipe."""
    found = inspect.signature(objective).parameters.values()
    own = {each.name: each.default for each in found if each.kind is not each.VAR_KEYWORD}
    return own, len(own) < len(found)
