"""Published detectors for photos, written plainly, all on the same features of a pretrained network.

Each learns from `Features` and gives `Judged`: the score of each photo and of each of its patches. Where the training
photos themselves are ranked, which none of the papers does, a photo's own patches are not among its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin

from expose.encoders.pretrained import pretrained
from expose.kinds.heat_maps import HeatMaps
from expose.kinds.image import as_images
from expose.kinds.pixels import resized, with_channels

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]
NETWORK = "efficientnet-lite2"


@dataclass(frozen=True, eq=False)
class Features:
    """Features of the patches of n photos, ``(n, H, W, C)``, and of the photos, ``(n, V)``."""

    maps: Floats
    vectors: Floats

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: Numbers) -> Features:
        """Those of some photos."""
        return Features(self.maps[rows], self.vectors[rows])

    @property
    def patches(self) -> Floats:
        """``(n, P, C)``."""
        return self.maps.reshape(len(self.maps), -1, self.maps.shape[-1])


class Judged(NamedTuple):
    """Scores of photos ``(n,)``, and of their patches ``(n, P)`` from detectors that look at patches."""

    photos: Floats
    patches: Floats | None = None


class PhotoContender(Protocol):
    """A detector for photos by their features."""

    def fit(self, features: Features, seed: int) -> Judged:
        """Learn from training photos, and judge them."""
        ...

    def judge(self, features: Features) -> Judged:
        """Judge others."""
        ...


class PatchCore:
    """A memory of patches that cover all others (Roth et al., CVPR 2022).

    Parameters
    ----------
    share : float, default=0.025
        Of the patches that are remembered: chosen greedily, each the furthest from those before.
    width : int, default=128
        Values of the random projection in which they are chosen.
    near : int, default=9
        Neighbours of the nearest remembered patch, against which the score of a photo is weighted (equation 7).
    """

    def __init__(self, share: float = 0.025, width: int = 128, near: int = 9) -> None:
        self.share, self.width, self.near = share, width, near

    def fit(self, features: Features, seed: int) -> Judged:
        """Choose what is remembered."""
        flat = features.patches.reshape(-1, features.maps.shape[-1])  # (n P, C)
        self.weight = self.weights(features.patches)  # (n P,)
        some = np.flatnonzero(np.isfinite(self.weight))
        rng = np.random.default_rng(seed)
        axes = rng.standard_normal((flat.shape[1], self.width), np.float32) / np.sqrt(self.width, dtype=np.float32)
        kept = some[greedy(flat[some] @ axes, max(1, round(self.share * len(flat))), rng)]
        self.memory, self.weight = flat[kept], self.weight[kept]
        self.owner = kept // features.patches.shape[1]
        return self.compared(features.patches, np.arange(len(features)))

    def weights(self, patches: Floats) -> Floats:
        """What distances to each patch are multiplied by, infinite for a patch that is not remembered."""
        return np.ones(patches.shape[0] * patches.shape[1], np.float32)

    def judge(self, features: Features) -> Judged:
        """Distances to the nearest remembered patches."""
        return self.compared(features.patches, np.full(len(features), -1))

    def compared(self, patches: Floats, own: Numbers) -> Judged:
        """Scores of patches ``(n, P, C)`` by all that is remembered but of the photos ``own``."""
        found = [self.nearest(photo, number) for photo, number in zip(patches, own, strict=True)]
        distance, nearest = (np.stack(some) for some in zip(*found, strict=True))  # (n, P) each
        rows, worst = np.arange(len(patches)), distance.argmax(axis=1)
        odd, usual = patches[rows, worst], nearest[rows, worst]  # (n, C), (n,)
        factor = np.array([self.unusual(*pair) for pair in zip(odd, usual, strict=True)], np.float32)
        scores = distance * self.weight[nearest]
        return Judged(factor * scores.max(axis=1), scores)

    def nearest(self, photo: Floats, own: int) -> tuple[Floats, Numbers]:
        """Of the patches of a photo ``(P, C)`` the distance to the nearest remembered one, and its number."""
        far = squared(photo, self.memory)
        far[:, self.owner == own] = np.inf
        nearest = far.argmin(axis=1)
        return np.sqrt(far[np.arange(len(photo)), nearest]), nearest

    def unusual(self, odd: Floats, usual: int) -> float:
        """One minus the softmax of the distance to the nearest among those to its neighbours."""
        around = np.argsort(squared(self.memory[usual : usual + 1], self.memory)[0])[: self.near]
        far = np.sqrt(squared(odd[None], self.memory[around])[0])
        return float(1 - 1 / np.exp(far - far[0]).sum())


class SoftPatch(PatchCore):
    """The same without the patches of the highest local outlier factors, by which the others are weighted.

    As Jiang et al. (NeurIPS 2022) do, factors are found among the patches at the same place of all photos.

    Parameters
    ----------
    dropped : float, default=0.15
        Share of the patches.
    near_lof : int, default=6
    **others
        As of `PatchCore`.
    """

    def __init__(self, dropped: float = 0.15, near_lof: int = 6, **others: float) -> None:
        super().__init__(**others)  # type: ignore[arg-type]
        self.dropped, self.near_lof = dropped, near_lof

    def weights(self, patches: Floats) -> Floats:
        """Local outlier factors, place by place."""
        near = min(self.near_lof, len(patches) - 1)
        places = np.moveaxis(patches, 1, 0)  # (P, n, C)
        factors = np.stack([outlier_factors(place, near) for place in places], axis=1).ravel()  # (n P,)
        return np.where(factors > np.quantile(factors, 1 - self.dropped), np.float32(np.inf), factors)


class PaDiM:
    """A Gaussian at each place, of some features chosen at random (Defard et al., ICPR 2020).

    Parameters
    ----------
    width : int, default=100
    ridge : float, default=0.01
        Added to the diagonals of the covariances.
    """

    def __init__(self, width: int = 100, ridge: float = 0.01) -> None:
        self.width, self.ridge = width, ridge

    def fit(self, features: Features, seed: int) -> Judged:
        """Mean and covariance at each place."""
        self.chosen = np.random.default_rng(seed).permutation(features.maps.shape[-1])[: self.width]
        places = np.moveaxis(features.patches[..., self.chosen], 1, 0)  # (P, n, K)
        self.mean = places.mean(axis=1, keepdims=True)
        centred = (places - self.mean).astype(np.float64)
        covariance = centred.transpose(0, 2, 1) @ centred / max(1, len(features) - 1)
        factor = np.linalg.cholesky(covariance + self.ridge * np.eye(covariance.shape[-1]))
        self.root = np.linalg.inv(factor).transpose(0, 2, 1).astype(np.float32)  # (P, K, K)
        return self.judge(features)

    def judge(self, features: Features) -> Judged:
        """Mahalanobis distances, a photo's by its worst patch."""
        places = np.moveaxis(features.patches[..., self.chosen], 1, 0)
        distance = np.linalg.norm((places - self.mean) @ self.root, axis=2).T  # (n, P)
        return Judged(distance.max(axis=1), distance)


class ImageNeighbours:
    """Mean distance of a photo's vector to the nearest ones of training.

    Parameters
    ----------
    near : int, default=5
    cosine : bool, default=False
        Whether vectors are brought to one length first.
    """

    def __init__(self, near: int = 5, cosine: bool = False) -> None:
        self.near, self.cosine = near, cosine

    def fit(self, features: Features, seed: int) -> Judged:
        """Remember the vectors."""
        self.memory = self.seen(features)
        far = squared(self.memory, self.memory)
        np.fill_diagonal(far, np.inf)
        return self.mean_of(far)

    def judge(self, features: Features) -> Judged:
        """Compare with what is remembered."""
        return self.mean_of(squared(self.seen(features), self.memory))

    def seen(self, features: Features) -> Floats:
        """Vectors as they are compared."""
        if not self.cosine:
            return features.vectors
        lengths: Floats = np.linalg.norm(features.vectors, axis=1, keepdims=True)
        return features.vectors / lengths

    def mean_of(self, far: Floats) -> Judged:
        """Mean of the least distances, of squares ``(n, R)``."""
        return Judged(np.sqrt(np.sort(far, axis=1)[:, : self.near]).mean(axis=1))


METHODS: dict[str, Callable[[], PhotoContender]] = {
    "PatchCore": PatchCore,
    "SoftPatch": SoftPatch,
    "PaDiM": PaDiM,
    "kNN of photos": partial(ImageNeighbours, cosine=True),
}


class PhotoBaseline(OutlierMixin, BaseEstimator):
    """A published detector behind scikit-learn's outlier interface, for photos.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    contamination : float, default=0.1
        Share of the training photos that are flagged.
    random_state : int, default=0
    """

    def __init__(self, name: str, *, contamination: float = 0.1, random_state: int = 0) -> None:
        self.name = name
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from photos; ``y`` is ignored."""
        self.method_ = METHODS[self.name]()
        ranked = self.method_.fit(described(X), self.random_state).photos
        self.offset_ = -float(np.quantile(ranked, 1 - self.contamination))
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Higher for what is more normal, ``(n,)``."""
        return -self.method_.judge(described(X)).photos.astype(np.float64)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for an anomalous photo, 1 for a normal one."""
        return np.where(self.score_samples(X) < self.offset_, -1, 1)

    def maps(self, X: Any) -> Sequence[NDArray[np.float64]] | None:
        """Heat maps of the size of the photos, if patches are judged."""
        features = described(X)
        return heat_maps(X, features, self.method_.judge(features))


def heat_maps(photos: Any, features: Features, judged: Judged) -> Sequence[NDArray[np.float64]] | None:
    """Scores of patches as maps of the size of the photos."""
    if judged.patches is None:
        return None
    return HeatMaps(as_images(photos), judged.patches.astype(np.float64), features.maps.shape[1:3])


def described(photos: Any) -> Features:
    """Features of photos, as the network of the product gives them."""
    images, network = as_images(photos), pretrained(NETWORK)
    size, found = network.size, []
    for start in range(0, len(images), network.at_once):
        rows = range(start, min(start + network.at_once, len(images)))
        seen = np.concatenate([resized(with_channels(images.at(row, size), 3), *size) for row in rows])
        found.append(network(np.ascontiguousarray(np.moveaxis(seen, 3, 1)), "32"))
    maps, vectors = (np.concatenate(some) for some in zip(*found, strict=True))
    return Features(maps, vectors)


# ------------------------------------------------------------------------------------------------------------- sums


def squared(a: Floats, b: Floats) -> Floats:
    """Squared distances of all pairs, ``(A, C), (B, C) -> (A, B)``."""
    far: Floats = np.square(a).sum(axis=1)[:, None] - 2 * (a @ b.T) + np.square(b).sum(axis=1)
    return np.maximum(far, 0, out=far)


def greedy(points: Floats, count: int, rng: np.random.Generator) -> Numbers:
    """Numbers of points, each the furthest from all that were chosen before; the first by chance.

    Examples
    --------
    >>> line = np.array([[0], [1], [9], [10], [5]], np.float32)
    >>> sorted(greedy(line, 3, np.random.default_rng(0)).tolist())
    [0, 3, 4]
    """
    lengths = np.square(points).sum(axis=1)
    chosen = [int(rng.integers(len(points)))]
    far = np.full(len(points), np.inf, np.float32)
    for _ in range(min(count, len(points)) - 1):
        last = chosen[-1]
        np.minimum(far, lengths - 2 * (points @ points[last]) + lengths[last], out=far)
        far[last] = -1
        chosen.append(int(far.argmax()))
    return np.array(chosen)


def outlier_factors(points: Floats, near: int) -> Floats:
    """Local outlier factors ``(n,)`` (Breunig et al., SIGMOD 2000)."""
    from sklearn.neighbors import LocalOutlierFactor

    found: Floats = LocalOutlierFactor(n_neighbors=near, algorithm="brute").fit(points).negative_outlier_factor_
    return -found.astype(np.float32)
