"""What a training found, for machines and for people: how the columns were read, the notes, the shares, the ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from expose.cli.reasons import in_words, taken
from expose.cli.sources import LABEL, ROW, named
from expose.cli.spans import described as described_spans
from expose.cli.spans import with_reasons
from expose.cli.text import aligned, cell, count, indented, joined, percent

if TYPE_CHECKING:
    import pyarrow as pa

    from expose.encoders.base import ColumnRead
    from expose.estimators import AnomalyDetector
    from expose.explain.reasons import Reason
    from expose.kinds import Batch, Kind

TOP = 20  # rows of the ranking that are shown
EXPLAINED = 1_000  # rows of the ranking whose reasons are written to a file; each costs some 100 scores
EXPLAINED_ANEW = 100  # where each is encoded again without each of its pieces
REASONS = 3  # of each row
TELLING = 0.1  # share of a reason of which an excerpt is shown
SHARES = (0.001, 0.01, 0.05, 0.1)  # "if so many are anomalous": what the ranking gives then
COLUMN_LINES = 15  # on how the columns were read
BESIDE = 74  # characters of a line beside a title
DOUBTS = ("count as missing", "no value decides", "no meaning")  # in how a column was read: they stand first
EXCERPTS, LONGEST_EXCERPT = 3, 160  # of the ranking, with what shows why they are there, and its characters
IDS_SHOWN = 2  # columns that name a row, on the screen


class Wanted(NamedTuple):
    """What is to be said of the ranking: how many rows on the screen, and a file for all of it."""

    top: int = TOP
    file: str | None = None
    spreadsheet_safe: bool = False


# ---------------------------------------------------------------------------------------------- for machines


def summary(detector: AnomalyDetector, batch: Batch, found: Iterable[ColumnRead] = ()) -> dict[str, Any]:
    """What a fitted detector found in its training data, without the ranking, as plain values.

    Parameters
    ----------
    detector : AnomalyDetector
    batch : Batch
        What it was trained on.
    found : iterable of ColumnRead
        Columns that name the rows, and so are not among the samples.
    """
    scores, line, known = detector.training_scores_, detector.threshold_score(), detector.fitted_.known
    calibration, (low, high) = detector.calibration_scores_, detector.fitted_.contamination_interval
    columns = (*found, *detector.fitted_.encoder.columns_read)
    kind = detector.fitted_.kind
    return {
        "noun": kind.noun,
        "numbered": kind.numbered,
        "measure": kind.measure(batch.samples),
        "rows": len(scores),
        "columns": detector.n_features_in_,
        "columns_read": [one._asdict() for one in columns],
        "notes": list(dict.fromkeys([*getattr(batch, "notes", ()), *detector.notes_])),
        "known_anomalies": int((known == 1).sum()),
        "known_normal": int((known == 0).sum()),
        "contamination": detector.contamination_,
        "contamination_low": low,
        "contamination_high": high,
        "contamination_method": detector.contamination_estimate_.method,
        "threshold": line,
        "threshold_rule": detector.threshold_rule_,
        "calibration_rows": 0 if calibration is None else len(calibration),
        "flagged": int((scores > line).sum()),
        "shares": shares(scores),
        **spans(detector, batch, scores > line),
    }


def spans(detector: AnomalyDetector, batch: Batch, flagged: Any) -> dict[str, Any]:
    """What is flagged as spans, where samples follow each other."""
    found = detector.fitted_.kind.spans([batch.samples], detector.training_scores_, flagged)
    if found is None:
        return {}
    events = detector.fitted_.kind.events([batch.samples], detector.training_scores_) or ()
    return {"spans": with_reasons(detector.scorer(), [batch.samples], found), "events": len(events)}


def shares(scores: Any) -> list[dict[str, Any]]:
    """If so many rows are anomalous: how many rows these are, and the score of the last of them.

    Examples
    --------
    >>> import numpy as np
    >>> shares(np.arange(40.0))
    [{'share': 0.05, 'rows': 2, 'anomaly_score': 38.0}, {'share': 0.1, 'rows': 4, 'anomaly_score': 36.0}]
    """
    import numpy as np

    falling = np.sort(scores)[::-1].tolist()
    rows = {share: round(share * len(falling)) for share in SHARES}
    return [{"share": share, "rows": n, "anomaly_score": falling[n - 1]} for share, n in rows.items() if n]


def to_look_at(detector: AnomalyDetector, batch: Batch, most: int) -> Any:
    """The first of the ranking whose label is not known: of all rows, if every label is; of each event the highest."""
    import numpy as np

    fitted, ranked = detector.fitted_, detector.ranking_
    samples = fitted.encoder.read(fitted.kind.samples(batch.samples))
    chosen = fitted.kind.foremost(samples, detector.training_scores_, ranked["row"])
    among = ranked[np.isin(ranked["row"], chosen)]
    unknown = among[fitted.known[among["row"]] < 0]
    return (unknown if len(unknown) else among)[:most]


def explained(detector: AnomalyDetector, batch: Batch, rows: Sequence[int]) -> dict[int, tuple[Reason, ...]]:
    """The reasons of rows, by their numbers; none where there are no columns."""
    from expose.explain.reasons import have_columns, reasons_of

    if not len(rows) or not have_columns(detector.fitted_):
        return {}
    found = reasons_of(detector.scorer(), detector.fitted_.kind.samples(taken(batch.samples, rows)), REASONS)
    return dict(zip(rows, found, strict=True))


def most_explained(detector: AnomalyDetector) -> int:
    """How many rows of the ranking have their reasons in a file."""
    return EXPLAINED_ANEW if detector.fitted_.kind.has_pieces else EXPLAINED


def captions(kind: Kind, batch: Batch, rows: Any) -> dict[str, Any]:
    """What says of each of some rows which it is, where their kind has that and it is no id already."""
    import pyarrow as pa

    if not kind.caption or (batch.ids is not None and kind.caption in batch.ids.column_names):
        return {}
    samples = kind.samples(taken(batch.samples, rows))
    return {kind.caption: pa.array([str(kind.show(samples, place)[kind.caption]) for place in range(len(rows))])}


def ranking(
    detector: AnomalyDetector, batch: Batch, reasons: Mapping[int, Sequence[Reason]], first: Any
) -> list[dict[str, Any]]:
    """Rows of the ranking: rank, row (counted from 0), ids, score, whether above the line, and reasons."""
    import pyarrow as pa

    names = None if batch.ids is None else taken(batch.ids, first["row"])
    for name, values in captions(detector.fitted_.kind, batch, first["row"]).items():
        names = pa.table({name: values}) if names is None else names.append_column(name, values)
    last = {
        "anomaly_score": first["anomaly_score"],
        "above_line": first["anomaly_score"] > detector.threshold_score(),
        "reasons": pa.nulls(len(first)),
    }
    rows: list[dict[str, Any]] = named(names, {"rank": first["rank"], ROW: first["row"]}, last, quiet=True).to_pylist()
    kind, encoder = detector.fitted_.kind, detector.fitted_.encoder
    samples = encoder.read(kind.samples(taken(batch.samples, first["row"]))) if reasons else None
    for place, row in enumerate(rows):
        shown = kind.show(samples, place) if reasons else {}
        own = reasons.get(row[ROW], ())
        values = {name: {"value": value} for name, value in shown.items()}
        row["reasons"] = [one._asdict() | values.get(one.column, {}) for one in own]
        if samples is not None and (
            lines := kind.excerpt(samples, place, [one.column for one in own if one.share >= TELLING])
        ):
            row["excerpt"] = lines
    return rows


# ------------------------------------------------------------------------------------------------ for a file


def whole_ranking(
    detector: AnomalyDetector, batch: Batch, reasons: Mapping[int, Sequence[Reason]], label: str | None = None
) -> pa.Table:
    """All training rows, the most suspicious first: rank, row, ids, score, reasons, and the values as they came.

    ``label`` is the name of the label column, if there is one.
    """
    import pyarrow as pa

    from expose.explain.reasons import reason_columns

    ranked = detector.ranking_
    order = ranked["row"]
    known = pa.table({} if batch.label is None else {label or LABEL: batch.label})
    given = [table for table in (batch.ids, batch.samples) if isinstance(table, pa.Table)]
    columns = {name: table[name] for table in (*given, known) for name in table.column_names}
    columns |= captions(detector.fitted_.kind, batch, range(len(ranked)))
    n_ids = 0 if batch.ids is None else batch.ids.num_columns
    first = {"rank": pa.array(ranked["rank"]), ROW: pa.array(order)}
    last = {
        "anomaly_score": pa.array(ranked["anomaly_score"]),
        "above_line": pa.array(ranked["anomaly_score"] > detector.threshold_score()),
        **reason_columns([reasons.get(row, ()) for row in order.tolist()], REASONS if reasons else 0, len(order)),
    }
    table = named(pa.table(columns).take(order) if columns else None, first, last)
    names = [name for name in table.column_names if name not in {*first, *last}]
    return table.select([*first, *names[:n_ids], *last, *names[n_ids:]])


# ------------------------------------------------------------------------------------------------ for people


def described(facts: Mapping[str, Any], seconds: float, *, named_columns: bool) -> list[str]:
    """The same for people."""
    rows = count(facts["rows"], facts["noun"])
    values = count(facts["columns"], "column" if named_columns else "value")
    n_known = facts["known_anomalies"] + facts["known_normal"]
    n_known = 0 if n_known == facts["rows"] else n_known  # all labels known: all are shown
    return [
        *([f"Read            {rows}, {facts['measure']}"] if facts["measure"] else []),
        f"Trained         on {rows if facts['measure'] else f'{rows} x {values}'} in {seconds:.0f} s",
        *in_columns("Read as", [line for one in read_lines(facts["columns_read"]) for line in beside(one, 12)]),
        *in_columns("Noticed", [line for note in facts["notes"] for line in beside(f"- {note}", 2)]),
        *known_line(facts),
        *indented(f"Share           {share_sentence(facts)}", 0, 16),
        *indented(f"Line            {line_sentence(facts)}", 0, 16),
        *([f"P-values        by {count(facts['calibration_rows'], 'row')}"] if facts["calibration_rows"] else []),
        *share_table(facts["shares"], facts["noun"]),
        *(described_spans(facts["spans"], facts["rows"], facts["noun"]) if "spans" in facts else []),
        *ranking_table(facts, facts["rows"] - n_known, n_known),
        *excerpts(facts["ranking"]),
    ]


def excerpts(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of the first of the ranking what shows why they are there, as it came."""
    lines = [
        f"  {one['rank']:>3}  {cell(line, LONGEST_EXCERPT)}"
        for one in found[:EXCERPTS]
        for line in one.get("excerpt", ())
    ]
    return ["Excerpts        of the first, by their ranks", *lines] if lines else []


def beside(text: str, then: int) -> list[str]:
    """A text as lines that stand beside a title; all but the first are indented."""
    return indented(text, 0, then, BESIDE)


def in_columns(title: str, lines: Sequence[str]) -> list[str]:
    """Lines beside a title, which stands before the first."""
    return [f"{'' if place else title:<15} {line}" for place, line in enumerate(lines)]


def read_lines(columns: Sequence[Mapping[str, str]]) -> list[str]:
    """How the columns were read: plain ones of a kind in one line, each that is remarkable in one of its own."""
    plain: dict[str, list[str]] = {}
    for one in columns:
        if not one["how"]:
            plain.setdefault(one["kind"], []).append(one["name"])
    lines = [f"{kind:<11} {joined(names)}" for kind, names in plain.items()]
    special = sorted((one for one in columns if one["how"]), key=lambda one: not any(w in one["how"] for w in DOUBTS))
    lines += [f"{one['kind']:<11} {joined([one['name']])}: {one['how']}" for one in special]
    if len(lines) > COLUMN_LINES:
        lines = [*lines[: COLUMN_LINES - 1], f"and {len(lines) - COLUMN_LINES + 1} more: --json lists all"]
    return lines


def known_line(facts: Mapping[str, Any]) -> list[str]:
    """How many labels and answers were used, if any."""
    anomalies, normal = facts["known_anomalies"], facts["known_normal"]
    if not anomalies + normal:
        return []
    found = f"{anomalies:,} {'anomaly' if anomalies == 1 else 'anomalies'}"
    usual = count(normal, f"normal {facts['noun']}")
    return [f"Known           {found} and {usual}, by labels and answers; all were used"]


def share_sentence(facts: Mapping[str, Any]) -> str:
    """What share of anomalies training went by, and how sure that is."""
    share, low, high = (facts[name] for name in ("contamination", "contamination_low", "contamination_high"))
    method, noun = facts["contamination_method"], facts["noun"]
    if not method.startswith("estimated"):
        assumed = method if method.startswith("assumed") else f"as {method}"
        reason = "as was given" if method.startswith("given") else assumed
        return f"training took {percent(share)} of the {noun}s for anomalies, {reason}"
    labelled = method.startswith("estimated from")
    source = f", estimated {method[10:].partition(',')[0]}" if labelled else ", a guess"
    better = "" if labelled else " A few answers to expose query tell it better."
    return (
        f"{percent(low)} to {percent(high)} of the {noun}s may be anomalies; training took {percent(share)}{source}."
        f"{better} The ranking below is there whatever it is"
    )


def line_sentence(facts: Mapping[str, Any]) -> str:
    """Where the line is drawn, by what rule, and how many rows lie above it."""
    flagged, rows, rule = facts["flagged"], facts["rows"], facts["threshold_rule"]
    name, _, rest = rule.partition(": ")
    by = {"contamination": "drawn by that share", "share": f"drawn by --threshold, a share of {rest.split(' ')[0]}"}
    sampled = "sample_rows" in facts  # then shares of all rows are near those of the sample, and not the same
    said = name == "contamination" and not sampled  # already, and rounded otherwise
    share = "" if said else f" ({percent(flagged / rows)})"
    text = f"{flagged:,} of {count(rows, facts['noun'])}{share} score above {facts['threshold']:.4g}, "
    text += by.get(name, f"drawn by {rule}")
    tied = said and flagged < int(facts["contamination"] * rows + 0.5)
    return text + (f"; fewer, as {facts['noun']}s of equal scores stay together" if tied else "")


def share_table(found: Sequence[Mapping[str, Any]], noun: str) -> list[str]:
    """If so many are anomalous, these are they."""
    if not found:
        return []
    rows = [
        {"share": f"{100 * one['share']:g} %", f"{noun}s": one["rows"], "last score": one["anomaly_score"]}
        for one in found
    ]
    return [
        f"What if         this share of the {noun}s were anomalous: how many they are, and how far down",
        *aligned(rows),
    ]


def ranking_table(facts: Mapping[str, Any], n_rows: int, known: int) -> list[str]:
    """The first rows of the ranking."""
    found, noun, numbered = facts["ranking"], facts["noun"], facts["numbered"]
    if not found:
        return []
    which = f"the first {len(found):,} of {n_rows:,} {noun}s" if len(found) < n_rows else f"all {count(n_rows, noun)}"
    if facts.get("events"):
        which = f"the highest {noun} of each of the first {len(found):,} of {facts['events']:,} events, flagged or not"
    which += " with no known label" if known else ""
    lines = aligned([shown(one, found, numbered=numbered) for one in found])
    return [f"Ranking         {which}{counted_from(noun) if numbered else ''}", *lines]


def counted_from(noun: str) -> str:
    """What the numbers of samples mean."""
    return f" ({noun} 0 is the first {noun} of data)"


def shown(one: Mapping[str, Any], among: Sequence[Mapping[str, Any]], *, numbered: bool) -> dict[str, Any]:
    """A row of the ranking for people: what no row has is left out, and of its ids the first few are enough."""
    ids = list(one)[2 : list(one).index("anomaly_score")][:IDS_SHOWN]
    number = [ROW] if numbered or not ids else []
    found = {name: one[name] for name in ("rank", *number, *ids, "anomaly_score")}
    found["line"] = "above" if one["above_line"] else "below"
    if any(other["reasons"] for other in among):
        found["because of"] = in_words(one["reasons"])
    return found
