"""Which columns it comes from that the data have moved: some of the new rows are explained, if they have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from expose.cli.reasons import taken

if TYPE_CHECKING:
    from expose import Scorer
    from expose.kinds import Batch

BATCHES, ROWS = 4, 8  # of how many batches rows are kept, and how many of each: explaining one takes a thousand scores
NAMED, LEAST = 3, 0.1  # columns at most, and the smallest share of one


class Glimpse:
    """Keeps some rows of batches that go by, of any number of them a fair choice.

    Parameters
    ----------
    scorer : Scorer
    seed : int

    Attributes
    ----------
    kept : list of samples
        Of at most four batches.
    """

    def __init__(self, scorer: Scorer, seed: int = 0) -> None:
        import numpy as np

        self.scorer, self._rng, self._seen = scorer, np.random.default_rng(seed), 0
        self.kept: list[Any] = []

    def read(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Hand batches on."""
        for batch in batches:
            yield batch
            self._look(batch.samples)

    def _look(self, samples: Any) -> None:
        place = len(self.kept) if self._seen < BATCHES else int(self._rng.integers(self._seen + 1))
        self._seen += 1
        if not len(samples) or place >= BATCHES:
            return
        rows = self._rng.permutation(len(samples))[:ROWS]
        self.kept[place : place + 1] = [taken(samples, rows)]

    def columns(self) -> dict[str, float]:
        """What the kept rows score more than typical ones by: columns and their shares, the largest first."""
        from expose.explain.reasons import have_columns, reasons_of

        if not self.kept or not have_columns(self.scorer.fitted):
            return {}
        each = [reasons for samples in self.kept for reasons in reasons_of(self.scorer, samples, NAMED)]
        shares: dict[str, float] = {}
        for reasons in each:
            for one in reasons:
                shares[one.column] = shares.get(one.column, 0.0) + one.share / len(each)
        found = sorted(((name, share) for name, share in shares.items() if share >= LEAST), key=lambda one: -one[1])
        return dict(found[:NAMED])


def in_columns(shares: dict[str, float]) -> str:
    """The same in words; empty where there are none.

    Examples
    --------
    >>> in_columns({"bar": 0.912, "heat": 0.04})
    ' Columns that make them so, the most telling first: bar, heat.'
    """
    return f" Columns that make them so, the most telling first: {', '.join(shares)}." if shares else ""
