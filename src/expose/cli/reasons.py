"""Why samples are anomalous: of each the columns that made it so, in files and on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.text import LONGEST_LAST, cell, percent
from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from expose import Scorer
    from expose.cli.maps import Maps
    from expose.kinds import Batch
    from expose.model import Fitted

AT_ONCE = 1_000  # rows explained together: some 100 scores are computed for each, more where they are fewer
SMALLEST_SHARE = 0.01  # what explains less of a row's excess score is no reason
LONGEST_VALUE = 20  # characters of a value among reasons


class Reason(NamedTuple):
    """A column, and the share of a row's excess score that is due to it."""

    column: str
    share: float


def have_columns(fitted: Fitted) -> bool:
    """Whether what a model was trained on has columns or places, or something else that people know, to explain by."""
    kind, encoder = fitted.kind, fitted.encoder
    told = len(encoder.groups) > 1 or len(encoder.sources) > 1 or fitted.has_places or kind.has_pieces
    return bool(encoder.columns_read) or told


def check_explainable(fitted: Fitted) -> None:
    """Refuse to explain where there is nothing to name, before any work is done."""
    if not have_columns(fitted):
        leave = "leave it out; 'expose report' shows which part of each is unusual."
        raise InputError(
            "--explain names columns, or places in a photo, that make one anomalous; for this model "
            f"{fitted.kind.plural} have none: {fitted.why_no_places if fitted.kind.pictured else leave}"
        )


def reasons_of(scorer: Scorer, samples: Any, most: int) -> list[tuple[Reason, ...]]:
    """The columns that make each sample most anomalous, at most so many of each, the most telling first."""
    import numpy as np

    from expose.explain import explain

    given = scorer.encoded(samples)
    found: list[tuple[Reason, ...]] = []
    for start in range(0, len(given.parts), AT_ONCE):
        explained = explain(scorer, given.take(np.arange(start, min(start + AT_ONCE, len(given.parts)))))
        for row in range(len(explained.excess)):
            tops = (Reason(name, min(share, 1.0)) for name, share in explained.top(row, most))
            found.append(tuple(one for one in tops if one.share >= SMALLEST_SHARE))
    return found


def taken(samples: Any, rows: Any) -> Any:
    """Some samples, by number."""
    import numpy as np

    return samples.take(np.asarray(rows, dtype=np.int64))


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


def explained_tables(
    scorer: Scorer, batches: Iterable[Batch], most: int, maps: Maps | None = None
) -> Iterator[pa.Table]:
    """Score batches in order as `Scorer.scan` does, with the reasons of every row, and gather what is to be drawn."""
    from expose.files import with_ids

    for batch in batches:
        given = scorer.encoded(batch.samples)
        scored = scorer.columns(given)
        if maps is not None:
            maps.add(batch, given, scored["anomaly_score"].to_numpy())
        reasons = reasons_of(scorer, given, most) if most else []
        yield with_ids(batch.ids, scored | reason_columns(reasons, most, len(reasons)))


def folded(row: Mapping[str, Any], most: int) -> dict[str, Any]:
    """A row of a file with its columns of reasons made one text."""
    pairs = [(f"reason_{place}", f"reason_{place}_share") for place in range(1, most + 1)]
    texts = [f"{row[name]} ({percent(row[share])})" for name, share in pairs if row[name] is not None]
    others = {name: value for name, value in row.items() if name not in {one for pair in pairs for one in pair}}
    return others | {"because of": ", ".join(texts)}


def in_words(reasons: Sequence[Mapping[str, Any]], longest: int = LONGEST_LAST) -> str:
    """Reasons with their values, for people, if they have one: as many as there is room for.

    Examples
    --------
    >>> in_words([{"column": "amount", "value": 402.5, "share": 0.71}, {"column": "hour", "value": 3, "share": 0.2}])
    'amount 402.5 (71 %), hour 3 (20 %)'
    >>> in_words([{"column": "upper left", "share": 1.0}])
    'upper left (100 %)'
    >>> in_words([{"column": "a name that is long", "value": 7, "share": 1.0}], 20)
    'a name th… 7 (100 %)'
    """
    named = [f"{one['column']} {value_of(one['value'])}" if "value" in one else one["column"] for one in reasons]
    texts = [f"{name} ({100 * one['share']:.0f} %)" for name, one in zip(named, reasons, strict=True)]
    if texts and len(texts[0]) > longest:  # the name is cut, not what comes after it
        after = texts[0][len(reasons[0]["column"]) :]
        return f"{reasons[0]['column'][: max(longest - len(after) - 1, 0)]}…{after}"
    return next(
        (text for n in range(len(texts), 1, -1) if len(text := ", ".join(texts[:n])) <= longest), "".join(texts[:1])
    )


def value_of(value: Any) -> str:
    """A value in a few characters."""
    if value is None:
        return "missing"
    return f"{value:.6g}" if isinstance(value, float) else cell(value, LONGEST_VALUE)
