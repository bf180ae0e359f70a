"""What a scored stream is summed up by: how many rows were flagged, by which rule, and which scored highest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.answer import counted_from
from expose.cli.moved import Glimpse, in_columns
from expose.cli.reasons import folded
from expose.cli.session import Session
from expose.cli.sources import ROW, named
from expose.cli.text import aligned, count, percent
from expose.errors import DataWarning
from expose.stores import without_secrets

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose import Scorer
    from expose.decide import Drift

SHOWN = 5
TRAINED_ON = (
    "These look like the {noun}s that the model was trained on. Their p-values are no evidence: they compare {noun}s "
    "with themselves. Use p-values for {noun}s that the model has not seen."
)


HAVE_MOVED = (
    "The data have moved since training: {said}.{columns} Flags of single {noun}s mean little then. See what has "
    "changed; if it is to stay, fit anew."
)


class Rule(NamedTuple):
    """What decides, for machines and for people."""

    facts: dict[str, Any]
    said: str


def by_threshold(scorer: Scorer) -> Rule:
    """A threshold."""
    line = scorer.fitted.threshold_score(scorer.threshold)
    rule = scorer.fitted.threshold_rule(scorer.threshold)
    return Rule({"threshold": line, "threshold_rule": rule}, f"above {line:.4g}; {rule}")


def by_p_values(rate: float, cutoff: float) -> Rule:
    """P-values over all rows."""
    facts = {"threshold": None, "threshold_rule": "Benjamini-Hochberg", "fdr": rate, "p_value_cutoff": cutoff}
    reach = f"with p-values up to {cutoff:.4g}" if cutoff else "as no p-value is small enough"
    return Rule(facts, f"{reach}; Benjamini-Hochberg, false discoveries at most {percent(rate)}")


def flagged_anew(batch: pa.RecordBatch, cutoff: float) -> pa.Table:
    """Scored rows, flagged by their p-values instead of a threshold."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.Table.from_batches([batch])
    place = table.column_names.index("is_anomaly")
    return table.set_column(place, "is_anomaly", pc.less_equal(table["p_value"], cutoff))


class Tally:
    """What is known of a stream of scores so far: counts, and the highest few.

    Parameters
    ----------
    first_row : int
        Number of its first row.
    most : int
        How many of the highest are kept.
    drift : Drift, optional
        Against whose reference the scores are counted, too.
    """

    def __init__(self, first_row: int = 0, most: int = SHOWN, drift: Drift | None = None) -> None:
        self.first_row, self.most = first_row, most
        self.drift = None if drift is None else drift.fresh()
        self.rows = self.flagged = 0
        self.total = 0.0
        self.top: list[dict[str, Any]] = []

    def add(self, scored: pa.Table) -> None:
        """Count a table of scores."""
        import pyarrow.compute as pc

        best = pc.select_k_unstable(scored, self.most, [("anomaly_score", "descending")])
        best = best.filter(pc.is_valid(scored["anomaly_score"].combine_chunks().take(best)))
        shown = scored.take(best).drop_columns("is_anomaly")
        rows = pc.add(best, self.first_row + self.rows)
        self._keep(named(shown, {ROW: rows}, {}, quiet=True).to_pylist())
        self.total += pc.sum(scored["anomaly_score"]).as_py() or 0.0
        self.flagged += pc.sum(scored["is_anomaly"]).as_py() or 0
        self.rows += scored.num_rows
        if self.drift is not None:
            self.drift.add(scored["anomaly_score"].to_numpy())

    def merge(self, following: Tally) -> None:
        """Count what another one has counted of the rows that follow."""
        self._keep(following.top)
        self.total += following.total
        self.flagged += following.flagged
        self.rows += following.rows
        if self.drift is not None and following.drift is not None:
            self.drift.merge(following.drift)

    def _keep(self, found: list[dict[str, Any]]) -> None:
        self.top = sorted(self.top + found, key=lambda facts: -facts["anomaly_score"])[: self.most]

    def is_of(self, scores: NDArray[np.float64]) -> bool:
        """Whether these were, to all appearance, the rows that have these scores."""
        return self.rows == len(scores) and math.isclose(self.total, float(scores.sum()), rel_tol=1e-6)


def known_scores(scorer: Scorer) -> Iterator[NDArray[np.float64]]:
    """Yield scores of rows whose p-values are no evidence: those trained on, and those that p-values compare with."""
    import numpy as np

    training, calibration = scorer.fitted.training_scores, scorer.fitted.calibration_scores
    if calibration is not None:
        yield from (training, calibration, np.concatenate([training, calibration]))  # together perhaps one table


def drift_of(scorer: Scorer, tolerance: float = 0.0) -> Drift:
    """What counts scores, to tell whether the data have moved; with a tolerance of its own where scores are others."""
    from expose.decide import Drift

    return Drift.against(scorer.fitted, scorer.threshold, tolerance=tolerance)


def say_drift(session: Session, drift: Drift, noun: str, glimpse: Glimpse | None) -> None:
    """Say whether the data have moved; if so, as a warning, with the columns that it comes from."""
    found = drift.verdict()
    session.moved = found.moved
    columns = glimpse.columns() if glimpse is not None and found.moved else {}
    session.result(drift=found.facts() | ({"columns": columns} if columns else {}))
    if found.moved:
        said = HAVE_MOVED.format(said=found.said(noun), columns=in_columns(columns), noun=noun)
        warnings.warn(said, DataWarning, stacklevel=2)
    else:
        session.say(f"Drift           {found.said(noun)}")


def summarise(
    session: Session,
    scorer: Scorer,
    tally: Tally,
    rule: Rule,
    out: str,
    seconds: float,
    reasons: int = 0,
    glimpse: Glimpse | None = None,
) -> None:
    """Say what was found, to machines or to people."""
    counts = {"rows": tally.rows, "flagged": tally.flagged}
    session.result(**counts, **rule.facts, top=tally.top, out=without_secrets(out), seconds=round(seconds, 3))
    share = percent(tally.flagged / tally.rows) if tally.rows else "0 %"
    kind = scorer.fitted.kind
    session.say(f"Scored          {count(tally.rows, kind.noun)} in {seconds:.1f} s")
    session.say(f"Flagged         {tally.flagged:,} ({share}) {rule.said}")
    if tally.drift is not None:
        say_drift(session, tally.drift, kind.noun, glimpse)
    if any(map(tally.is_of, known_scores(scorer))):
        warnings.warn(TRAINED_ON.format(noun=kind.noun), DataWarning, stacklevel=2)
    top = [folded(one, reasons) for one in tally.top] if reasons else tally.top
    named_ones = not kind.numbered and all(len(one) > 2 for one in top)
    if named_ones:
        top = [{name: value for name, value in one.items() if name != ROW} for one in top]
    session.say("\n".join([f"Highest        {'' if named_ones else counted_from(kind.noun)}".rstrip(), *aligned(top)]))
    if out != "-":
        session.say(f"Scores          {without_secrets(out)}")
