"""Why samples are anomalous: of each the columns that made it so, in files and on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expose.cli.text import LONGEST_LAST, cell, percent

if TYPE_CHECKING:
    import pyarrow as pa

    from expose import Scorer
    from expose.cli.maps import Maps
    from expose.kinds import Batch

LONGEST_VALUE = 20  # characters of a value among reasons


def taken(samples: Any, rows: Any) -> Any:
    """Some samples, by number."""
    import numpy as np

    return samples.take(np.asarray(rows, dtype=np.int64))


def explained_tables(
    scorer: Scorer, batches: Iterable[Batch], most: int, maps: Maps | None = None
) -> Iterator[pa.Table]:
    """Score batches in order as `Scorer.scan` does, with the reasons of every row, and gather what is to be drawn."""
    from expose.explain.reasons import reason_columns, reasons_of
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
