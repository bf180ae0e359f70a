"""Which rule draws the line: a share, a named rule, or an object of the user's own."""

from __future__ import annotations

import copy
import sys
from numbers import Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from expose.decide.conformal import check_rate, conformal_threshold
from expose.decide.mixture import Mixture
from expose.decide.tail import PEAKS, Tail
from expose.decide.threshold import score_threshold
from expose.errors import InputError

Floats = NDArray[np.float64]
RATES = {"mixture": None, "tail": 0.01, "conformal": 0.05}  # named rules, and the rate of those that have one
HIGHEST = sys.float_info.max


class ScoreRule(Protocol):
    """What an object must have to be a threshold: learn from the training scores, judge each score by itself."""

    def fit(self, scores: Floats) -> Any:
        """Learn from the anomaly scores of the training rows, ``(n,)``, higher = more anomalous."""
        ...

    def predict(self, scores: Floats) -> Any:
        """True or 1 for each score to flag, False or 0 for the others, ``(n,)``."""
        ...


def check_threshold(value: Any) -> None:
    """Raise InputError unless ``value`` is None, a share, a named rule, or has the methods of a `ScoreRule`."""
    if isinstance(value, str):
        parse(value)
        return
    is_share = isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < 1
    is_rule = callable(getattr(value, "fit", None)) and callable(getattr(value, "predict", None))
    if value is not None and not is_share and (isinstance(value, type) or not is_rule):
        raise InputError(
            f"threshold must be None or the share of training rows to flag, in [0, 1), or one of {', '.join(RATES)}, "
            f"or an object with fit(scores) and predict(scores); got {value!r}. "
            "To use a score of your own as threshold, compare it with anomaly_score(X)."
        )


def parse(text: str) -> tuple[str, float | None]:
    """Split a named rule: ``"tail:0.001"`` is the name and the rate.

    Examples
    --------
    >>> parse("tail:0.001"), parse("conformal"), parse("mixture")
    (('tail', 0.001), ('conformal', 0.05), ('mixture', None))
    """
    name, colon, number = text.partition(":")
    if name not in RATES:
        raise InputError(
            f"threshold must be None or the share of training rows to flag, in [0, 1), or one of {', '.join(RATES)}; "
            f"got {text!r}."
        )
    if not colon:
        return name, RATES[name]
    if RATES[name] is None:
        raise InputError(f"threshold {name!r} takes no rate; got {text!r}.")
    try:
        rate = float(number)
    except ValueError:
        raise InputError(f"threshold {text!r}: what follows the colon must be a number, as in '{name}:0.01'.") from None
    check_rate(f"the rate of threshold {name!r}", rate, PEAKS if name == "tail" else 1.0)
    return name, rate


def draw_line(threshold: Any, training: Floats, contamination: float, calibration: Floats | None) -> float:
    """The anomaly score above which rows are flagged.

    Parameters
    ----------
    threshold : None, float, str or ScoreRule
        As the detector's parameter.
    training : array of shape (n,)
        Scores of the training rows.
    contamination : float
        The share to flag where ``threshold`` is None.
    calibration : array of shape (m,) or None
        Scores of rows that were not trained on, for "conformal".
    """
    check_threshold(threshold)
    if threshold is None or isinstance(threshold, Real):
        return score_threshold(training, contamination if threshold is None else float(threshold))
    if not isinstance(threshold, str):
        return line_of(threshold, training)
    name, rate = parse(threshold)
    if name == "conformal":
        return conformal_threshold(needs_calibration(calibration), rate or 0.0)
    rule = Mixture() if rate is None else Tail(rate)
    return rule.fit(training).threshold_


def needs_calibration(calibration: Floats | None) -> Floats:
    """Return the calibration scores, or say how to get some."""
    if calibration is None:
        raise InputError(
            "There is nothing to compare with for p-values. Fit with calibration=5 ('expose fit --calibration 5'), or "
            "call calibrate(X) with rows that were not trained on."
        )
    return calibration


def line_of(rule: ScoreRule, training: Floats) -> float:
    """The score above which an object of the user's own flags, found by asking it; InputError where there is none."""
    rule = copy.deepcopy(rule)  # the user's object stays as it is, as in scikit-learn
    rule.fit(training)
    flagged = answers(rule, training)
    low = float(training[~flagged].max(initial=-HIGHEST))
    high = float(training[flagged].min(initial=HIGHEST))
    if high <= low:
        raise InputError(
            f"threshold {type(rule).__name__} flags a score of {high:g} but not one of {low:g}. Rules that are no "
            "threshold on the score cannot decide here; apply it to anomaly_score(X) yourself."
        )
    for place, expected in ((low, False), (high, True)):
        if abs(place) != HIGHEST and answers(rule, np.array([place]))[0] != expected:
            raise InputError(
                f"threshold {type(rule).__name__} judges a score alone otherwise than among all. It must learn in fit, "
                "and judge each score by itself in predict."
            )
    return boundary(rule, low, high)


def boundary(rule: ScoreRule, low: float, high: float) -> float:
    """The highest score that is not flagged, by halving the stretch between an unflagged and a flagged one."""
    if low == -HIGHEST and answers(rule, np.array([low]))[0]:
        return low
    if high == HIGHEST and not answers(rule, np.array([high]))[0]:
        return high
    while (middle := low / 2 + high / 2) not in (low, high):
        if answers(rule, np.array([middle]))[0]:
            high = middle
        else:
            low = middle
    return low


def answers(rule: ScoreRule, scores: Floats) -> NDArray[np.bool_]:
    """What a rule says of scores, checked to be one yes or no per score."""
    said = np.asarray(rule.predict(scores))
    if said.shape != scores.shape or said.dtype.kind not in "biuf" or not np.isin(said, (0, 1)).all():
        raise InputError(
            f"{type(rule).__name__}.predict must return one value per score, shape {scores.shape}: True or 1 to flag "
            f"it, False or 0 not to; got shape {said.shape} with values such as {np.unique(said)[:3].tolist()}. "
            "scikit-learn's -1 and +1 are turned by: predict(scores) == -1."
        )
    return said.astype(bool)


def describe(
    threshold: Any, contamination: float, calibration: Floats | None, rows: str = "training", nouns: str = "rows"
) -> str:
    """The rule in words; ``rows`` are those of which a share lies above, and ``nouns`` what samples are called."""
    if threshold is None:
        return f"contamination: {contamination:.3g} of the {rows} {nouns}"
    if isinstance(threshold, Real):
        return f"share: {float(threshold):.3g} of the {rows} {nouns}"
    if not isinstance(threshold, str):
        return f"own: {type(threshold).__name__}"
    name, rate = parse(threshold)
    calibrating = 0 if calibration is None else len(calibration)
    return {
        "mixture": "mixture: more likely of the upper of two groups of training scores",
        "tail": f"tail: false alarms at a rate of {rate}, by the extremes of the training scores",
        "conformal": f"conformal: p-value of at most {rate}, by {calibrating:,} calibration {nouns}",
    }[name]
