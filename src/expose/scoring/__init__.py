"""Raw samples to scores, in one place."""

from expose.scoring.scorer import Scorer, reading_of

__all__ = ["Scorer", "reading_of"]
