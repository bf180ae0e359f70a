"""Scores to decisions: one score of several members, where to draw the line, p-values and false-discovery control."""

from expose.decide.combination import Combination
from expose.decide.conformal import StepUp, check_rate, conformal_p_values, conformal_threshold, select
from expose.decide.mixture import Mixture
from expose.decide.rules import ScoreRule, check_threshold, describe, draw_line, needs_calibration
from expose.decide.tail import Tail
from expose.decide.threshold import score_threshold

__all__ = [
    "Combination",
    "Mixture",
    "ScoreRule",
    "StepUp",
    "Tail",
    "check_rate",
    "check_threshold",
    "conformal_p_values",
    "conformal_threshold",
    "describe",
    "draw_line",
    "needs_calibration",
    "score_threshold",
    "select",
]
