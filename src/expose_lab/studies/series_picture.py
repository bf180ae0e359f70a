"""A series with a fault, its score, and the span that is flagged, for the guide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from expose import AnomalyDetector
from expose.kinds import as_series
from expose_lab.figures.canvas import COLOURS, MUTED, new_figure, svg
from expose_lab.pages import save
from expose_lab.studies.base import Drawing
from expose_lab.studies.series_spans import made, with_fault

STEPS, SHOWN = 12_000, slice(5_400, 6_700)
FAULT = slice(6_000, 6_030)


@svg
def picture() -> Any:
    """Values, and below them the score with the line, around a fault of 30 of 12,000 steps that have been fitted."""
    values = with_fault(made("periodic", 0, STEPS), FAULT, "noise", np.random.default_rng(0))
    series = as_series(values)
    detector = AnomalyDetector(random_state=0, device="cpu").fit(series)
    spans = detector.scorer().spans(series)
    figure = new_figure(7.5, 3.2)
    above, below = figure.subplots(2, 1, sharex=True)
    at = np.arange(STEPS)[SHOWN]
    above.plot(at, values[SHOWN, 0], lw=0.6, color=COLOURS[1])
    below.plot(at, detector.training_scores_[SHOWN], lw=1, color=MUTED)
    below.axhline(detector.threshold_score(), ls="--", lw=0.8, color=COLOURS[2])
    for axis, name in ((above, "value"), (below, "anomaly score")):
        axis.set_ylabel(name)
        for span in spans:
            axis.axvspan(int(span["start"]), int(span["end"]), color=COLOURS[2], alpha=0.2, lw=0)
    above.plot([FAULT.start, FAULT.stop], [values[SHOWN].min() - 0.3] * 2, lw=3, color=COLOURS[2])
    below.set(xlabel="step", xlim=(at[0], at[-1]))
    return figure


def draw(results: Path, docs: Path) -> None:
    """The picture of the page of series."""
    save(docs / "images" / "series-span.svg", picture())


STUDY = Drawing("series_picture", "a series with a fault, its score and its span, for the guide", draw)
