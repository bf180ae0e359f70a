"""Why samples are anomalous, as a scores file has it: of each the columns that made it so, and their shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from expose.errors import InputError
from expose.explain.explanation import explain
from expose.scoring import Scorer
from expose.scoring.encoded import Encoded

if TYPE_CHECKING:
    import pyarrow as pa

    from expose.model import Fitted

AT_ONCE = 1_000  # rows explained together: some 100 scores are computed for each, more where they are fewer
SMALLEST_SHARE = 0.01  # what explains less of a row's excess score is no reason


class Reason(NamedTuple):
    """A column, and the share of a row's excess score that is due to it."""

    column: str
    share: float


def have_columns(fitted: Fitted) -> bool:
    """Whether what a model was trained on has columns or places, or something else that people know, to explain by."""
    kind, encoder = fitted.kind, fitted.encoder
    told = len(encoder.groups) > 1 or len(encoder.sources) > 1 or fitted.has_places or kind.has_pieces
    return bool(encoder.columns_read) or told


def check_explainable(fitted: Fitted, asked_by: str = "--explain") -> None:
    """Refuse to explain where there is nothing to name, before any work is done."""
    if not have_columns(fitted):
        leave = "leave it out; 'expose report' shows which part of each is unusual."
        raise InputError(
            f"{asked_by} names columns, or places in a photo, that make one anomalous; for this model "
            f"{fitted.kind.plural} have none: {fitted.why_no_places if fitted.kind.pictured else leave}"
        )


def reasons_of(scorer: Scorer, samples: Any, most: int) -> list[tuple[Reason, ...]]:
    """The columns that make each sample most anomalous, at most so many of each, the most telling first."""
    return [one for some in reasons_in_turn(scorer, scorer.encoded(samples), most) for one in some]


def reasons_in_turn(scorer: Scorer, given: Encoded, most: int) -> Iterator[list[tuple[Reason, ...]]]:
    """The same of some samples after the others: what is explained together says how exact it is."""
    for start in range(0, len(given.parts), AT_ONCE):
        explained = explain(scorer, given.take(np.arange(start, min(start + AT_ONCE, len(given.parts)))))
        found = []
        for row in range(len(explained.excess)):
            tops = (Reason(name, min(share, 1.0)) for name, share in explained.top(row, most))
            found.append(tuple(one for one in tops if one.share >= SMALLEST_SHARE))
        yield found


def reason_columns(reasons: Sequence[Sequence[Reason]], most: int, n_rows: int) -> dict[str, pa.Array]:
    """Reasons as columns of a file, ``(n,)`` each: empty where a row has fewer, or was not explained."""
    import pyarrow as pa

    found: dict[str, pa.Array] = {}
    for place in range(most):
        each = [some[place] if place < len(some) else None for some in reasons]
        each += [None] * (n_rows - len(each))
        found[f"reason_{place + 1}"] = pa.array([one and one.column for one in each], pa.string())
        found[f"reason_{place + 1}_share"] = pa.array([one and one.share for one in each], pa.float64())
    return found
