"""Which columns carry a score, or which places of a photo, and pictures of these."""

from expose.explain.attribution import Attribution, attribute
from expose.explain.explanation import Explanation, explain, explain_parts
from expose.explain.pictures import Scale, coloured, legend, overlay, scale_of

__all__ = [
    "Attribution",
    "Explanation",
    "Scale",
    "attribute",
    "coloured",
    "explain",
    "explain_parts",
    "legend",
    "overlay",
    "scale_of",
]
