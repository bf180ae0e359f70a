"""One pass over all samples: each is encoded once, for a pretrained network takes longer than all else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.kinds.base import Samples
from expose.model import Fitted
from expose.scoring import Scorer

SAMPLE_ROWS = 4_000  # on the map
SAMPLE_CELLS = 20_000_000  # encoded numbers in memory, of the sample and of what is encoded at once: 80 MB each
FEWEST_ROWS = 20  # in the sample, however large
BLOCK = 256  # rows at once are a multiple of it, so that networks see the same batches as when all are scored

Rows = NDArray[np.intp]


class Surveyed(NamedTuple):
    """What was kept of n samples.

    Attributes
    ----------
    kept : (n,) or (n, W) array
        What the model's head makes scores of.
    sample : array of int
        Random rows, rising; all where memory allows.
    vectors : (len(sample), D) array
        One vector of each, see `vectors_of`.
    """

    kept: NDArray[np.float64]
    sample: Rows
    vectors: NDArray[np.float32]


def survey(scorer: Scorer, samples: Samples) -> Surveyed:
    """Encode and score samples, as many at once as memory allows, and keep vectors of some."""
    fitted, n = scorer.fitted, len(samples)
    layout = fitted.encoder.layout
    most = max(FEWEST_ROWS, min(SAMPLE_ROWS, SAMPLE_CELLS // (layout.beside or layout.n_values)))
    sample = np.sort(np.random.default_rng(0).permutation(n)[:most])
    at_once = BLOCK * max(1, SAMPLE_CELLS // layout.n_values // BLOCK)
    kept, vectors = [], []
    for start in range(0, n, at_once):
        given = scorer.encoded(samples if at_once >= n else samples.take(slice(start, start + at_once)))
        kept.append(scorer.outputs(given))
        here = sample[(sample >= start) & (sample < start + at_once)]
        vectors.append(vectors_of(fitted, given.parts[here - start]))
    return Surveyed(np.concatenate(kept), sample, np.concatenate(vectors))


def vectors_of(fitted: Fitted, parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Encoded samples as one vector each: that of the whole where the encoder makes one, else the mean of the parts.

    Those of wholes are brought to length 1: how strongly a network recognised anything makes no two photos alike.
    """
    if beside := fitted.encoder.layout.beside:
        whole = parts.reshape(len(parts), -1)[:, -beside:]
        length = np.linalg.norm(whole, axis=1, keepdims=True)
        unit: NDArray[np.float32] = whole / np.maximum(length, np.finfo(np.float32).tiny)
        return unit
    return parts if parts.ndim == 2 else parts.mean(axis=1)
