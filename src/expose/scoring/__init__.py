"""Raw samples to scores, in one place."""

from expose.scoring.scorer import Encoded, Scorer

__all__ = ["Encoded", "Scorer"]
