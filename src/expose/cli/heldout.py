"""Held-out samples: a classifier is calibrated on them, and measured beside the same one without outliers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.labels import Classes
from expose.errors import CalibrationWarning, InputError, TooFewRowsWarning

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from expose.estimators import OutlierExposureClassifier

    Indices = NDArray[np.intp]

FEWEST_ROWS = 20  # to train on, below which it is said


class Part(NamedTuple):
    """Samples with their classes ``(n,)``, and outliers if there are any."""

    samples: Any
    y: NDArray[Any]
    outliers: Any | None


def split(samples: Any, found: Classes, outliers: Any | None, share: float, seed: int) -> tuple[Part, Part | None]:
    """Training and held-out samples: of each class, and of the outliers, the same share; None where it is 0."""
    import numpy as np

    y, rng = found.names[found.rows], np.random.default_rng(seed)
    if share == 0:
        return Part(samples, y, outliers), None
    chosen = [sample(np.flatnonzero(found.rows == number), share, rng) for number in range(len(found.names))]
    rows = both(np.concatenate(chosen), len(y))
    if not len(rows[1]):
        raise InputError(
            f"--held-out {share} of {len(y)} rows leaves none to measure by; give more rows, or --held-out 0."
        )
    if len(rows[0]) < FEWEST_ROWS:
        message = f"--held-out {share} leaves {len(rows[0])} of {len(y)} rows to train on, which teach hardly anything."
        warnings.warn(message, TooFewRowsWarning, stacklevel=2)
    extra: list[Any] = [None, None]
    if outliers is not None:
        others = both(sample(np.arange(len(outliers)), share, rng), len(outliers))
        extra = [outliers.take(some) if len(some) else None for some in others]
    training, heldout = (Part(samples.take(some), y[some], more) for some, more in zip(rows, extra, strict=True))
    return training, heldout


def sample(rows: Indices, share: float, rng: np.random.Generator) -> Indices:
    """Choose a share of rows at random, and leave at least one."""
    return rng.permutation(rows)[: min(round(share * len(rows)), len(rows) - 1)]


def both(chosen: Indices, n_rows: int) -> tuple[Indices, Indices]:
    """All other rows, and the chosen ones, each ascending."""
    import numpy as np

    return np.setdiff1d(np.arange(n_rows), chosen), np.sort(chosen)


def measured(
    classifier: OutlierExposureClassifier, training: Part, heldout: Part, *, baseline: Path | None
) -> dict[str, Any]:
    """Calibrate a classifier on held-out samples and measure it there, beside the same one without outliers.

    Parameters
    ----------
    baseline : path or None
        Checkpoint of the training without outliers; None leaves that out.
    """
    from expose.report import compare

    calibrate(classifier, heldout)
    before = None
    if baseline is not None and training.outliers is not None and not classifier.fitted_.interrupted:
        before = unexposed(classifier, training, baseline)
        if before is not None:
            calibrate(before, heldout)
    return compare(classifier, heldout.samples, heldout.y, outliers=heldout.outliers, before=before)


def calibrate(classifier: OutlierExposureClassifier, heldout: Part) -> None:
    """Take threshold, p-values and temperature from held-out samples; the summary says which temperature it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)  # nobody chose those rows: no fault, and 1 is shown
        classifier.calibrate(heldout.samples, heldout.y)


def unexposed(
    classifier: OutlierExposureClassifier, training: Part, checkpoint: Path
) -> OutlierExposureClassifier | None:
    """Train the same classifier without outliers; None if that was interrupted."""
    from sklearn.base import clone

    before: OutlierExposureClassifier = clone(classifier).set_params(checkpoint=checkpoint)
    before.fit(training.samples, training.y)
    if before.fitted_.interrupted:
        return None
    checkpoint.unlink(missing_ok=True)
    return before
