"""How a labelled data set becomes a contaminated training set and a test set.

Pure functions: same arguments, same split. Half of the normal rows are for training. What differs is
where the anomalies in the training set come from:

- `clean`: there are none.
- `disjoint`: real anomalies from one half of them; the other half is tested. The honest setting; their
  number limits it.
- `paper`: noisy copies of anomalies that are *also* tested, as in the experiments of Qiu et al. 2022. It
  reaches any share, but a method that learns the contamination by heart is rewarded for it, so its
  numbers compare with that paper only.

Labels other than 0 and 1, fewer than two normal rows, no anomaly, or a share out of range raise `InputError`.

Row caps (``train_rows``, ``test_rows``) bound the *normal* rows of either side, for large sets. The tested
anomalies are then thinned by the same factor, so that their share stays, but not below `FEWEST_TESTED`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.errors import InputError

PAPER_SEEDS = (40, 41, 42, 43, 44)
FEWEST_TESTED = 100  # anomalies that thinning leaves in the test set, where there are as many


class Split(NamedTuple):
    """A training and a test set.

    Attributes
    ----------
    train_X : (n_train, D), normal rows first, then the contamination
    train_y : (n_train,) int8; the truth about the training rows, for evaluation only, never for training
    test_X : (n_test, D), normal rows first, then the anomalies
    test_y : (n_test,) int8
    reached_ratio : float, share of anomalies in the training set, which may be less than was asked for
    """

    train_X: NDArray[Any]
    train_y: NDArray[np.int8]
    test_X: NDArray[Any]
    test_y: NDArray[np.int8]
    reached_ratio: float


def clean(
    X: ArrayLike, y: ArrayLike, *, seed: int, train_rows: int | None = None, test_rows: int | None = None
) -> Split:
    """Train on a random half of the normal rows; test on the other half and all anomalies.

    Parameters
    ----------
    X : (n, D) array
    y : (n,) array, 1 for an anomaly, 0 for a normal row
    seed : int
        Chooses the half.
    train_rows, test_rows : int, optional
        Most normal rows in the training and in the test set. None: all.

    Examples
    --------
    >>> split = clean([[0.0], [1.0], [2.0], [3.0], [9.0]], [0, 0, 0, 0, 1], seed=0)
    >>> split.train_y.tolist(), split.test_y.tolist()
    ([0, 0], [0, 0, 1])
    """
    normal, anomalies = _separate(X, y)
    normal = np.random.default_rng(seed).permutation(normal)
    half = len(normal) // 2
    test_normal, tested = _capped_test(normal[half:], anomalies, test_rows, np.random.default_rng([seed, 1]))
    return _assemble(normal[:half][:train_rows], anomalies[:0], test_normal, tested)


def disjoint(
    X: ArrayLike,
    y: ArrayLike,
    *,
    seed: int,
    ratio: float,
    most: float = 0.5,
    train_rows: int | None = None,
    test_rows: int | None = None,
) -> Split:
    """Contaminate with real anomalies of one half; test the other half. The test set is the same for every ratio.

    Parameters
    ----------
    X, y, seed, train_rows, test_rows
        As in `clean`; the seed also chooses the anomalies.
    ratio : float in [0, 0.5)
        Wanted share of anomalies in the training set: ``round(ratio / (1 - ratio) * n_normal)`` of them.
    most : float in [0, 1)
        Share of all anomalies that are the pool for the training set; the others are tested. `reached_ratio`
        tells what share came of it.

    Examples
    --------
    >>> X = np.arange(24.0)[:, None]
    >>> split = disjoint(X, [0] * 18 + [1] * 6, seed=0, ratio=0.1)
    >>> int(split.train_y.sum()), int(split.test_y.sum()), split.reached_ratio
    (1, 3, 0.1)
    """
    _check_ratio(ratio)
    if not 0 <= most < 1:
        raise InputError(f"most must be in [0, 1), so that an anomaly is left for the test; got {most!r}.")
    normal, anomalies = _separate(X, y)
    rng = np.random.default_rng(seed)
    normal, anomalies = rng.permutation(normal), rng.permutation(anomalies)
    half = len(normal) // 2
    pool = int(most * len(anomalies))
    train_normal = normal[:half][:train_rows]
    taken = min(round(ratio / (1 - ratio) * len(train_normal)), pool)
    test_normal, tested = _capped_test(normal[half:], anomalies[pool:], test_rows, np.random.default_rng([seed, 1]))
    return _assemble(train_normal, anomalies[:taken], test_normal, tested)


def paper(
    X: ArrayLike,
    y: ArrayLike,
    *,
    seed: int,
    ratio: float,
    file_order: bool = False,
    train_rows: int | None = None,
    test_rows: int | None = None,
) -> Split:
    """Contaminate with noisy copies of the test anomalies, as Qiu et al. 2022 did for tables.

    ``int(ratio / (1 - ratio) * n_normal)`` anomalies are drawn, with replacement only if there are too
    few, and normal noise with the standard deviation of each feature over all anomalies is added. All
    anomalies are tested; with ``test_rows``, those that are drawn from.

    Parameters
    ----------
    X, y, seed, train_rows, test_rows
        As in `clean`. The paper's seeds are `PAPER_SEEDS`.
    ratio : float in [0, 0.5)
        Share of anomalies in the training set.
    file_order : bool
        Take the first half of the normal rows as they lie in the file, as was done for thyroid and
        arrhythmia, instead of a random ``n // 2 + 1`` of them.

    Examples
    --------
    >>> from expose_lab.datasets import thyroid
    >>> table = thyroid()
    >>> split = paper(table.X, table.y, seed=40, ratio=0.1, file_order=True)
    >>> int(split.train_y.sum()), int(split.test_y.sum())
    (204, 93)
    """
    _check_ratio(ratio)
    normal, anomalies = _separate(X, y)
    rng = np.random.default_rng(seed)
    half = len(normal) // 2 if file_order else len(normal) // 2 + 1
    normal = normal if file_order else rng.permutation(normal)
    train_normal = normal[:half][:train_rows]
    test_normal, tested = _capped_test(normal[half:], anomalies, test_rows, np.random.default_rng([seed, 1]))
    count = int(ratio / (1 - ratio) * len(train_normal))
    drawn = tested[rng.choice(len(tested), count, replace=count > len(tested))]
    noise = rng.standard_normal(drawn.shape) * anomalies.std(axis=0)
    return _assemble(train_normal, (drawn + noise).astype(normal.dtype), test_normal, tested)


class Numbers(NamedTuple):
    """Numbers of the samples for training and for the test, in both the normal ones first."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


def chosen(
    y: ArrayLike,
    *,
    seed: int,
    ratio: float,
    train: int,
    test: int,
    anomalies: int,
    overlap: bool = False,
    first: NDArray[np.bool_] | None = None,
) -> Numbers:
    """Choose so many samples of a set, such as photos, which are too large to be copied into a table.

    Parameters
    ----------
    y : (n,) array, 1 for an anomaly, 0 for a normal sample
    seed : int
    ratio : float in [0, 0.5)
        Wanted share of anomalies in training; as many as there are, where there are too few.
    train, test : int
        Normal samples for training, and others for the test.
    anomalies : int
        For the test, the same for every ratio.
    overlap : bool, default=False
        Whether the anomalies in training are tested ones. So some papers do, and a method that learns them by heart is
        punished for it, or one that leaves them out rewarded. Otherwise no sample is in both.
    first : (n,) array of bool, optional
        Which normal samples are for training before all others.

    Examples
    --------
    >>> split = chosen([0] * 18 + [1] * 6, seed=0, ratio=0.1, train=9, test=9, anomalies=3)
    >>> len(split.train), len(split.test), len(set(split.train) & set(split.test))
    (10, 12, 0)
    """
    _check_ratio(ratio)
    labels, rng = np.asarray(y), np.random.default_rng(seed)
    normal, odd = (rng.permutation(np.flatnonzero(labels == one)) for one in (0, 1))
    normal = normal if first is None else normal[np.argsort(~first[normal], kind="stable")]
    if len(normal) < train + test or len(odd) < anomalies:
        raise InputError(
            f"Expected at least {train + test} normal samples and {anomalies} anomalies; got {len(normal)} and "
            f"{len(odd)}. Ask for fewer."
        )
    tested, pool = odd[:anomalies], odd[:anomalies] if overlap else odd[anomalies:]
    taken = pool[: round(ratio / (1 - ratio) * train)]
    return Numbers(np.concatenate([normal[:train], taken]), np.concatenate([normal[train : train + test], tested]))


def _capped_test(
    normal: NDArray[Any], anomalies: NDArray[Any], most: int | None, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The first ``most`` normal rows, and as large a random share of the anomalies, at least `FEWEST_TESTED`."""
    if most is None or len(normal) <= most:
        return normal, anomalies
    kept = max(round(most / len(normal) * len(anomalies)), min(FEWEST_TESTED, len(anomalies)))
    return normal[:most], anomalies[np.sort(rng.permutation(len(anomalies))[:kept])]


def _assemble(
    normal: NDArray[Any], contamination: NDArray[Any], test_normal: NDArray[Any], test_anomalies: NDArray[Any]
) -> Split:
    train_X, train_y = _stack(normal, contamination)
    test_X, test_y = _stack(test_normal, test_anomalies)
    return Split(train_X, train_y, test_X, test_y, float(train_y.mean()))


def _stack(normal: NDArray[Any], anomalies: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int8]]:
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [len(normal), len(anomalies)])
    return np.concatenate([normal, anomalies]), labels


def _separate(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the normal rows and the anomalies, each in file order."""
    rows, labels = np.asarray(X), np.asarray(y)
    if rows.ndim != 2 or labels.shape != rows.shape[:1]:
        raise InputError(f"Expected X of shape (n, D) and y of shape (n,); got {rows.shape} and {labels.shape}.")
    if not np.isin(labels, (0, 1)).all():
        raise InputError(f"y must hold 0 (normal) and 1 (anomaly) only; found {np.unique(labels)[:5].tolist()}.")
    normal, anomalies = rows[labels == 0], rows[labels == 1]
    if len(normal) < 2 or len(anomalies) < 1:
        raise InputError(f"A split needs at least 2 normal rows and 1 anomaly; got {len(normal)} and {len(anomalies)}.")
    return normal, anomalies


def _check_ratio(ratio: float) -> None:
    if not 0 <= ratio < 0.5:
        raise InputError(
            f"ratio must be the share of anomalies in the training set, in [0, 0.5); got {ratio!r}. "
            "With more than half, the anomalies would be the normal class."
        )
