"""Whether a graph scores as the model that it was made of does: asked each time, before a file is written."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from expose.decide import Verdict
from expose.errors import DataWarning, InputError
from expose.exporting.base import input_of
from expose.model import Fitted
from expose.scoring import Scorer

Floats = NDArray[np.float64]
LIMIT = 1e-3  # ten times the most that our tests allow: models differ in how far float32 rounds


def difference(fitted: Fitted, ours: Floats, theirs: Floats) -> Floats:
    """How far scores of the same rows are apart, relative to the score, or to usual ones where it is smaller: ``(n,)``.

    Usual is the median size of the scores of the training rows. Of an ensemble it is at least as large as what the
    members' own scores are in units of their spread: they are known to that precision.
    """
    usual = float(np.median(np.abs(fitted.training_scores)))
    if not isinstance(fitted.head, Verdict) and len(fitted.head.scale) > 1:
        use = fitted.head.scale > 0
        usual = max(usual, *(np.abs(fitted.head.centre[use]) / fitted.head.scale[use]))
    size = np.maximum(np.maximum(np.abs(ours), usual), np.finfo(np.float64).tiny)
    apart: Floats = np.abs(ours - theirs) / size
    return apart


def compared(content: bytes, scorer: Scorer) -> float:
    """The largest `difference` over made-up rows, missing and extreme values among them.

    Raises
    ------
    InputError
        If it is more than 1e-3.
    """
    import onnxruntime

    given = input_of(scorer.fitted.encoder)
    fed, samples = given.examples(given.n_examples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        ours = scorer.scores(samples)
    alone = onnxruntime.SessionOptions()
    alone.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, alone, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(["anomaly_score"], {given.name: fed})
    most = float(difference(scorer.fitted, ours, theirs).max())
    if not most <= LIMIT:
        raise InputError(
            f"No file was written: of {len(fed)} made-up {scorer.fitted.kind.noun}s its scores would differ by up to "
            f"{most:.1g} from those of the model, and may by {LIMIT:g} at most. float32, in which the model computes, "
            "is too coarse for it: less extreme settings (a higher temperature, another scaling) may help. Scorer "
            "scores as the model."
        )
    return most
