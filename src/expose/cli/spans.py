"""What is flagged as spans: in a file, and on the screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expose.cli.reasons import in_words, taken
from expose.cli.session import Session
from expose.cli.sources import check_output
from expose.cli.text import aligned, count
from expose.errors import InputError
from expose.stores import without_secrets

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose import Scorer
    from expose.kinds import Batch

SHOWN = 10
EDGES = ("left", "top", "right", "bottom")
IN_FILES = ("peak_row", *EDGES)  # what is of use in a file alone
EXPLAINED, REASONS = 1_000, 3  # spans whose channels are looked for, and of each


class Spans:
    """Gathers samples and what is said of them as they pass, and writes the spans that are flagged.

    Parameters
    ----------
    scorer : Scorer
    file : str
        Where to write.
    data : sequence of str
        What is read, which no file may replace.
    """

    def __init__(self, scorer: Scorer, file: str, data: Sequence[str]) -> None:
        from expose.files import check_format
        from expose.kinds import Kind

        if type(scorer.fitted.kind).spans is Kind.spans:
            raise InputError(
                f"--spans is for series and videos; {scorer.fitted.kind.plural} have no order in time. Fit with --time "
                "COLUMN or with --video."
            )
        check_output(file, data, "--spans")
        check_format(file)
        self.scorer, self.file = scorer, file
        self.samples: list[Any] = []
        self.said: list[tuple[NDArray[np.float64], NDArray[np.bool_]]] = []

    def read(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; their samples are kept."""
        for batch in batches:
            self.samples.append(batch.samples)
            yield batch

    def scored(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The same tables; their scores are kept."""
        for table in tables:
            self.said.append((table["anomaly_score"].to_numpy(), table["is_anomaly"].to_numpy()))
            yield table

    def write(self, session: Session, *, spreadsheet_safe: bool = False) -> None:
        """Write them, the highest first, and say how many there are."""
        import numpy as np

        from expose.files import writer

        scores, flagged = (np.concatenate(each) for each in zip(*self.said, strict=True))
        read = [self.scorer.fitted.encoder.read(some) for some in self.samples]
        found = self.scorer.fitted.kind.spans(read, scores, flagged) or []
        found = with_reasons(self.scorer, self.samples, found)
        with writer(self.file, spreadsheet_safe=spreadsheet_safe) as sink:
            sink.write(as_table(found))
        session.result(spans=len(found), spans_file=without_secrets(self.file))
        session.say("\n".join(described(found, len(scores), self.scorer.fitted.kind.noun)))
        session.say(f"Spans file      {without_secrets(self.file)}")


def with_reasons(scorer: Scorer, samples: Sequence[Any], spans: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spans with what carries the score of their peaks, in words: channels if there are several, or places and a box.

    ``samples`` are all that were scored, some at a time.
    """
    import numpy as np

    from expose.explain.reasons import have_columns

    if not spans or not have_columns(scorer.fitted):
        return list(spans)
    peaks = np.array([one["peak_row"] for one in spans[:EXPLAINED]])
    ends = np.cumsum([len(some) for some in samples])
    which = np.searchsorted(ends, peaks, side="right")
    said = [dict[str, Any]()] * len(spans)
    for batch in np.unique(which).tolist():
        mine = np.flatnonzero(which == batch)
        rows = peaks[mine] - (ends[batch] - len(samples[batch]))
        for place, reasons in zip(mine.tolist(), reasons_at(scorer, taken(samples[batch], rows)), strict=True):
            said[place] = reasons
    return [{**one, **reasons} for one, reasons in zip(spans, said, strict=True)]


def reasons_at(scorer: Scorer, samples: Any) -> list[dict[str, Any]]:
    """What carries the scores of some samples, in words; of those with places also the first box, by its edges."""
    from expose.explain.reasons import reasons_of

    given = scorer.encoded(samples)
    several = [in_words([one._asdict() for one in reasons]) for reasons in reasons_of(scorer, given, REASONS)]
    if not scorer.fitted.has_places:
        return [{"channels": words} for words in several]
    none = dict.fromkeys(EDGES)
    first = [dict(zip(EDGES, boxes[0], strict=True)) if boxes else none for boxes in scorer.boxes(given)]
    return [{"where": words, **box} for words, box in zip(several, first, strict=True)]


def as_table(spans: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Spans as rows, numbered from 1."""
    import pyarrow as pa

    if not spans:
        types = {name: pa.int64() for name in ("span", "steps", "peak_row")} | {"peak_score": pa.float64()}
        names = ("span", "start", "end", "steps", "peak", "peak_row", "peak_score")
        return pa.table({name: pa.array([], types.get(name, pa.string())) for name in names})
    return pa.Table.from_pylist([{"span": number, **one} for number, one in enumerate(spans, 1)])


def described(spans: Sequence[Mapping[str, Any]], n_samples: int, noun: str) -> list[str]:
    """The first few for people."""
    if not spans:
        return [f"Spans           none, as no {noun} is flagged"]
    inside = sum(one[f"{noun}s"] for one in spans)
    which = f"{count(len(spans), 'span')} of {count(inside, noun)} in all, of {n_samples:,}"
    which += f"; the highest {SHOWN} of them" if len(spans) > SHOWN else ""
    shown = [{name: value for name, value in one.items() if name not in IN_FILES} for one in spans[:SHOWN]]
    return [f"Spans           {which}", *aligned(shown)]
