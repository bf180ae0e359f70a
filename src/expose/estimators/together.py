"""Fit several detectors of the same settings at once: seeds, folds, machines, customers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expose.errors import InputError
from expose.estimators.alike import train_alike
from expose.estimators.detector import AnomalyDetector
from expose.objectives import Objective

OWN = {"random_state", "contamination", "threshold"}  # parameters in which the detectors may differ


def fit_together(detectors: Sequence[AnomalyDetector], tables: Sequence[Any]) -> list[AnomalyDetector]:
    """Fit each detector on its own table, in one batched computation where tables have the same shape.

    What comes out is what ``detector.fit(table)`` gives for each, up to rounding and the lottery of batches in which no
    whole number of suspects is due; it comes several times sooner, because networks for tables are too small to fill a
    processor one by one. Tables of other shapes are trained after one another. `history_` is that of the whole group.

    Parameters
    ----------
    detectors : sequence of AnomalyDetector
        Alike in all parameters but ``random_state``, ``contamination`` and ``threshold``, and without ``checkpoint``
        and ``warm_start``.
    tables : sequence of tables
        As many, each as `AnomalyDetector.fit` takes them.

    Returns
    -------
    list of AnomalyDetector
        The same objects, fitted.

    Raises
    ------
    InputError
        If the detectors differ in more, or there are not as many tables.

    Examples
    --------
    >>> import numpy as np
    >>> from expose import AnomalyDetector
    >>> from expose.objectives import NTL
    >>> days = np.random.default_rng(0).normal(size=(2, 300, 4))
    >>> monday, tuesday = fit_together([AnomalyDetector(NTL(epochs=2), random_state=seed) for seed in (0, 1)], days)
    >>> monday.anomaly_score(days[0]).shape
    (300,)
    """
    if len(detectors) != len(tables) or not detectors:
        raise InputError(f"Expected one table per detector; got {len(detectors)} detectors and {len(tables)} tables.")
    check_alike(detectors)
    several = [detector.prepare(table) for detector, table in zip(detectors, tables, strict=True)]
    for detector, prepared, trained in zip(detectors, several, train_alike(several), strict=True):
        detector.conclude(prepared, trained)
    return list(detectors)


def check_alike(detectors: Sequence[AnomalyDetector]) -> None:
    """Raise InputError unless the detectors can be trained as one."""
    first = described(detectors[0])
    for detector in detectors:
        other = described(detector)
        differing = sorted(name for name in first.keys() - OWN if other[name] != first[name])
        if differing:
            raise InputError(
                f"Detectors that are fitted together must be alike but for {sorted(OWN)}; these differ in {differing}."
            )
    if first["checkpoint"] is not None:
        raise InputError("Detectors that are fitted together cannot have a checkpoint; leave it out.")
    if first["warm_start"]:
        raise InputError("Detectors that are fitted together cannot have a warm start; leave it out.")


def described(detector: AnomalyDetector) -> dict[str, Any]:
    """The parameters, an objective of one's own by its class and settings, so that two can be compared."""
    parameters: dict[str, Any] = detector.get_params(deep=False)
    if isinstance(detector.objective, Objective):
        parameters["objective"] = (type(detector.objective), detector.objective.settings())
    return parameters
