"""Raw samples to scores, in one place."""

from expose.scoring.scorer import Scorer

__all__ = ["Scorer"]
