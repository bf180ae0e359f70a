"""Scores to decisions: one score of several members, where to draw the line, and which rows to look at next."""

from expose.decide.combination import Combination
from expose.decide.query import choose_queries
from expose.decide.threshold import score_threshold

__all__ = ["Combination", "choose_queries", "score_threshold"]
