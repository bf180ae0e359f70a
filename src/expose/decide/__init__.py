"""Scores to decisions: thresholds, p-values, false discoveries, temperature, reliability, rows to label."""

from expose.decide.combination import Combination
from expose.decide.conformal import (
    StepUp,
    check_rate,
    conformal_p_values,
    conformal_threshold,
    p_values_among,
    select,
)
from expose.decide.drift import Alarm, Drift, DriftVerdict, Recent
from expose.decide.mixture import Mixture
from expose.decide.query import choose_queries
from expose.decide.reliability import Reliability, checked_confidence, reliability, rms_calibration_error
from expose.decide.rules import ScoreRule, check_threshold, describe, draw_line, needs_calibration
from expose.decide.tail import Tail
from expose.decide.temperature import checked_logits, fit_temperature
from expose.decide.threshold import score_threshold
from expose.decide.verdict import Verdict

__all__ = [
    "Alarm",
    "Combination",
    "Drift",
    "DriftVerdict",
    "Mixture",
    "Recent",
    "Reliability",
    "ScoreRule",
    "StepUp",
    "Tail",
    "Verdict",
    "check_rate",
    "check_threshold",
    "checked_confidence",
    "checked_logits",
    "choose_queries",
    "conformal_p_values",
    "conformal_threshold",
    "describe",
    "draw_line",
    "fit_temperature",
    "needs_calibration",
    "p_values_among",
    "reliability",
    "rms_calibration_error",
    "score_threshold",
    "select",
]
