"""Which encoders and objectives can be exported, and how: one function each, in a file of its own.

A new one is one file, imported in ``exporting/__init__.py``, or registered by a user for an objective of their own::

    @exports(Mine)
    def mine(member: Mine, rows: Value) -> Value:
        return (rows @ member.map.weight.T).square().mean()

It is looked up by the class itself, not by one that it comes from: who overrides a method has another sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from numpy.typing import NDArray

from expose.encoders import Encoder
from expose.errors import InputError
from expose.exporting.graph import TILE, Value
from expose.objectives import OBJECTIVES, Objective

O = TypeVar("O", bound=Objective)  # noqa: E741 - an objective
E = TypeVar("E", bound=Encoder)


class Input(NamedTuple):
    """What an ONNX file takes, and how it becomes parts.

    Attributes
    ----------
    name : str
        Of the input: "X", "photos".
    element : int
        Type of its numbers, as ONNX has them.
    shape : tuple of int
        Of one sample.
    columns : list of str
        Of X, in order; empty where samples have none.
    encode : callable
        From samples ``(n, *shape)`` to parts ``(n, D)``, in float64.
    examples : callable
        So many samples as they may come, missing and extreme values among them, to compare scores by: as the file takes
        them, and as a scorer does.
    at_once : int
        Samples worked on at a time.
    n_examples : int
        How many are compared.
    """

    name: str
    element: int
    shape: tuple[int, ...]
    columns: list[str]
    encode: Callable[[Value], Value]
    examples: Callable[[int], tuple[NDArray[Any], Any]]
    at_once: int = TILE
    n_examples: int = 300  # more than one tile


SCORES: dict[type[Objective], Callable[[Any, Value], Value]] = {}
PLACES: dict[type[Objective], Callable[[Any, Value], Value]] = {}
ENCODERS: dict[type[Encoder], Callable[[Any], Input]] = {}


def exports(
    *objectives: type[Objective],
) -> Callable[[Callable[[O, Value], Value]], Callable[[O, Value], Value]]:
    """Say how what a trained member gives for parts ``(n, D)`` is worked out in a graph."""

    def add(function: Callable[[O, Value], Value]) -> Callable[[O, Value], Value]:
        SCORES.update(dict.fromkeys(objectives, function))
        return function

    return add


def exports_places(
    *objectives: type[Objective],
) -> Callable[[Callable[[O, Value], Value]], Callable[[O, Value], Value]]:
    """Say how the scores of the places of parts, ``(n, D) -> (n, P)``, are worked out in a graph."""

    def add(function: Callable[[O, Value], Value]) -> Callable[[O, Value], Value]:
        PLACES.update(dict.fromkeys(objectives, function))
        return function

    return add


def exports_encoder(encoder: type[E]) -> Callable[[Callable[[E], Input]], Callable[[E], Input]]:
    """Say how raw samples become parts in a graph."""

    def add(function: Callable[[E], Input]) -> Callable[[E], Input]:
        ENCODERS[encoder] = function
        return function

    return add


def input_of(encoder: Encoder) -> Input:
    """How an encoder makes parts of raw samples.

    Raises
    ------
    InputError
        If it cannot be exported.
    """
    if type(encoder) not in ENCODERS:
        own = getattr(encoder, "own", encoder)
        raise InputError(
            f"An ONNX file takes the raw numbers of a table, or photos; this model's encoder, {type(own).__name__}, "
            "cannot be exported. Those of tables can: 'quantile', 'bounded', 'robust', 'standard', 'unscaled', "
            "'two-scalings', and of photos 'efficientnet-lite2' and 'efficientnet-lite0'. For all others there is "
            "Scorer."
        )
    return ENCODERS[type(encoder)](encoder)


def score_of(member: Objective, rows: Value) -> Value:
    """What a trained member gives for parts ``(n, D)``.

    Raises
    ------
    InputError
        If its objective cannot be exported.
    """
    if type(member) not in SCORES:
        able = sorted(one.name for one in SCORES if OBJECTIVES.get(one.name) is one)
        name = repr(member.name) if OBJECTIVES.get(member.name) is type(member) else type(member).__name__
        raise InputError(
            f"The objective {name} cannot be exported to ONNX; these can: "
            f"{', '.join(able)}. One of your own can once expose.exporting.exports says how; Scorer takes any."
        )
    return SCORES[type(member)](member, rows)
