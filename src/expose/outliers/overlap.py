"""Whether auxiliary outliers hold rows of the test set, or normal ones: equal rows, and nearly equal ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose.kinds import kind_of
from expose.outliers.nearest import nearest, own_nearest
from expose.outliers.prints import image_keys, table_keys, table_vectors, text_keys, text_shingles, thumbnails
from expose.outliers.rows import take
from expose.outliers.shingles import most_alike

Pairs = NDArray[np.intp]
SAMPLE = 2_000  # rows of a set whose own distances tell what is near in it


@dataclass(frozen=True, eq=False)
class Matches:
    """Which outliers are rows of one other set.

    Attributes
    ----------
    name : str
        Of the other set.
    exact : ndarray of int, (k, 2)
        Row of the outliers and a row of the other set that equals it.
    near : ndarray of int, (m, 2)
        Row of the outliers, not in `exact`, and the nearest row of the other set, where that is near enough.
    usual : float
        Share of the rows of the other set (of at most 2,000) that have such a near or equal row in their own set.
        Where it is high, near rows are no sign of overlap.
    """

    name: str
    exact: Pairs
    near: Pairs
    usual: float

    def __str__(self) -> str:
        if not len(self.exact) and not len(self.near):
            return f"none in {self.name}"
        share = f"{100 * self.usual:.1f} % of {self.name} are as near to another of its rows"
        return f"{len(self.exact)} equal and {len(self.near)} nearly equal in {self.name} ({share})"


@dataclass(frozen=True, eq=False)
class Overlap:
    """What `check_overlap` found; as text, one line.

    Attributes
    ----------
    kind : {"table", "image", "text"}
    n_outliers : int
    matches : tuple of Matches
        One for each other set.
    """

    kind: str
    n_outliers: int
    matches: tuple[Matches, ...]

    @property
    def rows(self) -> NDArray[np.intp]:
        """Rows of the outliers that equal or nearly equal a row of any other set, ascending."""
        found = [pairs[:, 0] for match in self.matches for pairs in (match.exact, match.near)]
        return np.unique(np.concatenate(found)).astype(np.intp)

    def __str__(self) -> str:
        return f"of {self.n_outliers} auxiliary outliers: " + "; ".join(map(str, self.matches)) + "."


def check_overlap(outliers: Any, against: Any, *, near: float | None = None) -> Overlap:
    """Compare auxiliary outliers with test sets and the normal rows.

    An outlier that is also in the test set makes a result too good; one that is a normal row teaches the wrong thing.

    Parameters
    ----------
    outliers : table, images or texts
        As for `AnomalyDetector.fit`: arrays and frames; images as an array, a list of arrays of any size or a folder
        of image files; a list of str.
    against : the same kind, or a mapping of names to such sets
        For instance ``{"test": X_test, "normal": X}``.
    near : float or None
        What is nearly equal; 0 looks for equal rows only. None takes the default of the kind:

        =====  =======  =========================================================================================
        kind   default  meaning
        =====  =======  =========================================================================================
        table  0.1      distance of encoded rows, over the median distance of rows of the other set to their
                        nearest row
        image  0.1      the same of thumbnails, 8 x 8, so that copies of another size or quality are found, but
                        none that was turned, mirrored or cut
        text   0.2      1 minus the share of series of three words that both have (Jaccard), so that a copy with a
                        few words changed is found, but none inside a longer text
        =====  =======  =========================================================================================

    Raises
    ------
    InputError
        When kinds or columns differ, or ``near`` is not in [0, 1).

    Notes
    -----
    Equal means: the same values in all columns; the same pixels to 8 bit, in whatever type; the
    same letters and digits, whatever their case and the signs and spaces between them. In a table of few columns unlike
    rows are near by chance; `Matches.usual` tells how often that happens.

    Examples
    --------
    >>> test = ["The red one was broken.", "We ship within two days."]
    >>> found = check_overlap(["a third text", "the red one was broken"], {"test": test})
    >>> print(found)
    of 2 auxiliary outliers: 1 equal and 0 nearly equal in test (0.0 % of test are as near to another of its rows).
    >>> found.rows.tolist()
    [1]
    """
    sets = dict(against) if isinstance(against, Mapping) else {"the other set": against}
    found = kind_of(outliers)
    kind = found.name
    for name, other in sets.items():
        if (got := kind_of(other)) is not found:
            message = f"the outliers are of kind {kind!r}, but {name} is of kind {got.name!r}; give both in one form."
            raise InputError(message)
    if kind not in _DEFAULTS:
        raise InputError(f"what is equal is known of {', '.join(_DEFAULTS)}; got {found.plural}.")
    limit = _DEFAULTS[kind] if near is None else near
    if not 0 <= limit < 1:
        raise InputError(f"near must be in [0, 1); got {near}.")
    matches = tuple(_matches(kind, name, outliers, other, limit) for name, other in sets.items())
    return Overlap(kind, len(found.samples(outliers)), matches)


def without_overlap(outliers: Any, against: Any, *, near: float | None = None) -> Any:
    """Auxiliary outliers, as they came, without those that are, or nearly are, rows of other sets.

    Parameters and errors are those of `check_overlap`.

    Examples
    --------
    >>> without_overlap(["a third text", "the red one was broken"], ["The red one was broken."])
    ['a third text']
    """
    found = check_overlap(outliers, against, near=near)
    return take(outliers, np.setdiff1d(np.arange(found.n_outliers), found.rows))


_DEFAULTS = {"table": 0.1, "image": 0.1, "text": 0.2}


class _Near(NamedTuple):
    found: NDArray[np.bool_]  # (n,) whether an outlier has a near row
    place: Pairs  # (n,) and which
    usual: float


def _matches(kind: str, name: str, outliers: Any, other: Any, limit: float) -> Matches:
    keys = {"table": table_keys, "image": image_keys, "text": text_keys}[kind]
    mine, theirs = keys(outliers, other)
    first = {key: place for place, key in reversed(list(enumerate(theirs)))}
    exact = np.array([(row, first[key]) for row, key in enumerate(mine) if key in first], dtype=np.intp).reshape(-1, 2)
    if limit == 0:
        counts = np.unique(np.array(theirs, dtype=object), return_counts=True)[1] if theirs else np.zeros(0)
        return Matches(name, exact, np.empty((0, 2), dtype=np.intp), float(counts[counts > 1].sum() / len(theirs)))
    if kind == "text":
        close = _near_texts(outliers, other, limit)
    else:
        close = _near_vectors(*(table_vectors if kind == "table" else thumbnails)(outliers, other), limit)
    close.found[exact[:, 0]] = False
    rows = np.flatnonzero(close.found)
    return Matches(name, exact, np.column_stack([rows, close.place[rows]]), close.usual)


def _near_vectors(mine: NDArray[np.float32], theirs: NDArray[np.float32], limit: float) -> _Near:
    """By distance, in units of the median distance between nearest rows of the other set."""
    if len(theirs) < 2:
        return _Near(np.zeros(len(mine), dtype=bool), np.zeros(len(mine), dtype=np.intp), 0.0)
    sample = np.random.default_rng(0).permutation(len(theirs))[:SAMPLE]
    own = own_nearest(theirs, sample=sample)[0][:, 0]
    distances = own[own > 0]
    least = limit * float(np.median(distances)) if len(distances) else 0.0
    distances, places = nearest(mine, theirs)
    return _Near(distances[:, 0] <= least, places[:, 0], float((own <= least).mean()))


def _near_texts(outliers: Any, other: Any, limit: float) -> _Near:
    theirs = text_shingles(other)
    alike, places = most_alike(text_shingles(outliers), theirs, 1 - limit)
    sample = np.random.default_rng(0).permutation(len(theirs))[:SAMPLE]
    own = most_alike([theirs[row] for row in sample], theirs, 1 - limit, leave_out=sample.tolist())[0]
    return _Near(alike >= 1 - limit, places, float((own >= 1 - limit).mean()))
