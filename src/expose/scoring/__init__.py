"""Raw samples to scores, in one place."""

from expose.scoring.encoded import Encoded
from expose.scoring.live import Live
from expose.scoring.scorer import Scorer

__all__ = ["Encoded", "Live", "Scorer"]
