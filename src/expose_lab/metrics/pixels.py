"""How good heat maps are, once it is known which pixels are defective.

Everywhere ``masks`` holds one array ``(H, W)`` of 0 (normal) and 1 (defective) per photo, or None for a photo without
a defect, and ``maps`` one array ``(H, W)`` of finite scores, higher for what is more anomalous; sizes may differ. What
does not fit raises `InputError`: unequal numbers, a map of another size than its mask, a score that is not finite, and
pixels of one class only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.errors import InputError

Floats = NDArray[np.float64]
Masks = Sequence[ArrayLike | None]
Maps = Sequence[ArrayLike]
LIMIT = 0.3  # false-positive rate up to which AUPRO is integrated, as Bergmann et al. (2021) do


def pixel_auroc(masks: Masks, maps: Maps) -> float:
    """Area under the ROC curve of all pixels of all photos.

    A large defect counts as much as all of its pixels; `aupro` weighs defects alike.

    Examples
    --------
    >>> pixel_auroc([[[0, 1], [0, 1]]], [[[0.1, 0.4], [0.2, 0.8]]])
    1.0
    """
    return curve(masks, maps).auroc()


def pixel_average_precision(masks: Masks, maps: Maps) -> float:
    """Average precision of all pixels of all photos; chance reaches the share of defective pixels.

    Examples
    --------
    >>> pixel_average_precision([[[0, 1], [0, 1]]], [[[0.1, 0.4], [0.2, 0.8]]])
    1.0
    """
    return curve(masks, maps).average_precision()


def aupro(masks: Masks, maps: Maps, limit: float = LIMIT) -> float:
    """Area under the per-region overlap curve (Bergmann et al., IJCV 2021), divided by its largest possible value.

    For each threshold, the share that is found of each connected region of the masks, diagonal neighbours included, is
    averaged over all regions, over the share of normal pixels that are found too. Straight lines join thresholds.

    Parameters
    ----------
    masks, maps
        See the module.
    limit : float in (0, 1], default=0.3
        Share of normal pixels up to which the area is taken.

    Examples
    --------
    >>> mask = [[1, 1, 1, 0, 0, 1, 0, 0]]
    >>> aupro([mask], [[[8, 7, 6, 1, 1, 0.5, 2, 0]]])  # the large region at once, the small one after 3 of 4 pixels
    0.5
    """
    if not 0 < limit <= 1:
        raise InputError(f"limit must be a share of the normal pixels in (0, 1]; got {limit!r}.")
    return curve(masks, maps).aupro(limit)


def pixel_metrics(masks: Masks, maps: Maps, limit: float = LIMIT) -> dict[str, float]:
    """All three by their names, from one sorting of the pixels.

    Examples
    --------
    >>> pixel_metrics([[[0, 1], [0, 1]]], [[[0.1, 0.4], [0.2, 0.8]]])
    {'pixel_auroc': 1.0, 'pixel_average_precision': 1.0, 'aupro': 1.0}
    """
    one = curve(masks, maps)
    return {
        "pixel_auroc": one.auroc(),
        "pixel_average_precision": one.average_precision(),
        "aupro": one.aupro(limit),
    }


class Curve(NamedTuple):
    """What is found above each threshold, of T thresholds: the different scores of defective pixels, the highest first.

    Attributes
    ----------
    above, found : (T,) array
        Shares of normal pixels that score above it, and as high at least.
    overlap : (T + 1,) array
        Share of a region that is found down to it, averaged over all; first of none.
    hits : (T + 1,) array
        Number of defective pixels that are found down to it; first of none.
    n_normal : int
    """

    above: Floats
    found: Floats
    overlap: Floats
    hits: Floats
    n_normal: int

    def auroc(self) -> float:
        """Chance that a defective pixel scores above a normal one; a tie counts one half."""
        below = 1 - (self.above + self.found) / 2
        return float(np.sum(np.diff(self.hits) * below) / self.hits[-1])

    def average_precision(self) -> float:
        """Precision at the threshold of each defective pixel, averaged."""
        hits = self.hits[1:]
        return float(np.sum(np.diff(self.hits) * hits / (hits + self.found * self.n_normal)) / hits[-1])

    def aupro(self, limit: float) -> float:
        """Area up to ``limit``, over ``limit``."""
        # Between two thresholds only normal pixels are found: the curve is flat there, and rises on (above, found).
        rate = np.concatenate([[0.0], np.stack([self.above, self.found], axis=1).ravel(), [1.0]])
        return area(rate, np.repeat(self.overlap, 2), limit) / limit


def area(x: Floats, y: Floats, limit: float) -> float:
    """Area below the straight lines through points with ascending x, from 0 to ``limit``."""
    start, end = np.minimum(x[:-1], limit), np.minimum(x[1:], limit)
    width = np.diff(x)
    slope = np.divide(np.diff(y), width, out=np.zeros_like(width), where=width > 0)
    middle = y[:-1] + slope * ((start + end) / 2 - x[:-1])
    return float(np.sum((end - start) * middle))


def curve(masks: Masks, maps: Maps) -> Curve:
    """Sort the pixels of all photos."""
    pairs = list(checked(masks, maps))
    none = np.zeros(0)
    normal = np.sort(np.concatenate([none, *(scores[regions == 0] for regions, scores in pairs)]))
    defective = np.concatenate([none, *(scores[regions > 0] for regions, scores in pairs)])
    if not len(normal) or not len(defective):
        raise InputError(
            f"maps are judged by normal and by defective pixels; got {len(normal):,} and {len(defective):,} of them. "
            "Without a defective pixel only the scores of photos can be judged, by auroc."
        )
    thresholds, place = np.unique(-defective, return_inverse=True)  # the highest score first
    parts = weights([regions for regions, _ in pairs])
    return Curve(
        above=(len(normal) - np.searchsorted(normal, -thresholds, "right")) / len(normal),
        found=(len(normal) - np.searchsorted(normal, -thresholds, "left")) / len(normal),
        overlap=summed(place, parts),
        hits=summed(place, np.ones(len(place))),
        n_normal=len(normal),
    )


def summed(place: NDArray[np.intp], values: Floats) -> Floats:
    """Sums of values up to each place, first of none."""
    return np.concatenate([[0.0], np.cumsum(np.bincount(place, values))])


def weights(regions: Iterable[NDArray[np.int32]]) -> Floats:
    """Of each defective pixel the share that it is of its region, over the number of regions."""
    each = [(one[one > 0], np.bincount(one[one > 0])) for one in regions if one.any()]
    n_regions = sum(int(one.max()) for one, _ in each)
    return np.concatenate([1 / sizes[one] for one, sizes in each]) / n_regions


def checked(masks: Masks, maps: Maps) -> Iterator[tuple[NDArray[np.int32], Floats]]:
    """Numbers of the connected regions, 0 for normal pixels, and scores of each photo."""
    if len(masks) != len(maps):
        raise InputError(f"Expected one mask, or None, per map; got {len(masks)} masks and {len(maps)} maps.")
    for row, mask in enumerate(masks):
        scores = np.asarray(maps[row], dtype=np.float64)
        if scores.ndim != 2 or not np.isfinite(scores).all():
            raise InputError(f"map {row}: expected finite scores of shape (H, W); got shape {scores.shape}.")
        yield numbered(np.zeros(scores.shape) if mask is None else np.asarray(mask), scores.shape, row), scores


def numbered(mask: NDArray[Any], shape: tuple[int, ...], row: int) -> NDArray[np.int32]:
    """Connected regions of a mask, from 1; diagonal neighbours are connected."""
    from scipy.ndimage import label

    if mask.shape != shape:
        raise InputError(
            f"mask {row} is of shape {mask.shape} and its map of {shape}. Maps are judged at the size of the masks: "
            "resize the one or the other."
        )
    if not np.isin(mask, (0, 1)).all():
        raise InputError(f"mask {row} must hold 0 and 1 only; found {np.unique(mask)[:5].tolist()}. Write mask > 0.")
    regions: NDArray[np.int32] = label(mask, np.ones((3, 3)))[0]
    return regions
