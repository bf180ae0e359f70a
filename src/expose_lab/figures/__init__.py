"""Figures of benchmark results as SVG text: the same bytes for the same data and the same Matplotlib.

They are drawn on white, with letters as letters, in colours that the colour-blind can tell apart (Okabe and Ito 2008).
Matplotlib comes with the extra `bench`. What cannot be drawn raises `InputError`.
"""

from expose_lab.figures.exposed import reliability_diagram, score_distributions
from expose_lab.figures.lines import Curve, curves
from expose_lab.figures.ranks import rank_diagram
from expose_lab.figures.tables import Compared, against_published, dots, heat_maps, short

__all__ = [
    "Compared",
    "Curve",
    "against_published",
    "curves",
    "dots",
    "heat_maps",
    "rank_diagram",
    "reliability_diagram",
    "score_distributions",
    "short",
]
