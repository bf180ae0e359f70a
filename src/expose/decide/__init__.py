"""Scores to decisions: one score of several members, and where to draw the line."""

from expose.decide.combination import Combination
from expose.decide.threshold import score_threshold

__all__ = ["Combination", "score_threshold"]
