"""Scores to decisions."""

from expose.decide.threshold import score_threshold

__all__ = ["score_threshold"]
