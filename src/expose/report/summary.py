"""The figures at the head of the page, and what accuracy is known by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expose.decide import Verdict
from expose.model import Fitted
from expose.report.about import EXPOSURES, LONGEST_NOTE, Strip, objective_name, strip_of
from expose.report.comparison import rightness
from expose.report.findings import Findings
from expose.report.typical import show_number, show_share, show_text

MOST_CLASSES = 50  # in the table of accuracies

Side = Mapping[str, Any]  # what `rightness` or `measure` gives


@dataclass(frozen=True)
class Tile:
    """One figure: what it is, its value, and what is worth knowing of it."""

    name: str
    value: str
    note: str = ""
    hot: bool = False


@dataclass(frozen=True)
class Summary:
    """Tiles, the strip of the estimate, and sentences."""

    tiles: list[Tile]
    strip: Strip | None
    sentences: list[str]


@dataclass(frozen=True)
class Table:
    """Cells in words under a header, and a note below."""

    header: list[str]
    rows: list[list[str]]
    note: str


@dataclass(frozen=True)
class Measured:
    """How right a classifier is: on held-out rows before and after exposure, and on the rows of the report."""

    comparison: Mapping[str, Any] | None
    here: Side | None

    @property
    def before(self) -> Side | None:
        """On held-out rows, without exposure."""
        return self.comparison["before"] if self.comparison else None

    @property
    def after(self) -> Side | None:
        """On held-out rows, with exposure."""
        return self.comparison["after"] if self.comparison else None

    @property
    def sides(self) -> dict[str, Side]:
        """All there are, by name."""
        named = {"before exposure": self.before, "after exposure": self.after, "these rows": self.here}
        return {name: side for name, side in named.items() if side is not None}


def measured(findings: Findings, comparison: Mapping[str, Any] | None) -> Measured | None:
    """How right the model is, as far as it is known; None of a detector."""
    head, classes = findings.fitted.head, findings.classes
    if not isinstance(head, Verdict):
        return None
    known = comparison if comparison is not None else findings.fitted.metadata.get("comparison")
    some = None if classes is None else classes.numbers >= 0
    if classes is None or some is None or not some.any():
        return Measured(known, None)
    return Measured(known, rightness(head, findings.said.take(some), classes.numbers[some]))


def summary_of(findings: Findings, found: Measured | None) -> Summary:
    """All that the first section shows."""
    check = against_labels(findings)
    tiles = data_tiles(findings) + model_tiles(findings) + class_tiles(found) + label_tiles(findings, check)
    sentences = model_sentences(findings) + class_sentences(findings, found) + label_sentences(findings, check)
    return Summary(tiles, strip_of(findings.fitted, findings.threshold), sentences)


# ------------------------------------------------------------------------------------------------------- tiles


def data_tiles(findings: Findings) -> list[Tile]:
    """Rows, columns, and what is flagged."""
    n, flagged = len(findings.scores), int(findings.flagged.sum())
    return [
        Tile("Rows", f"{n:,}"),
        Tile("Columns" if findings.has_columns else "Values", f"{findings.fitted.n_features:,}"),
        Tile("Flagged", f"{flagged:,}", f"{show_share(flagged / n)} of the rows", hot=flagged > 0),
        Tile("Threshold", show_number(findings.threshold), f"a row scoring more is flagged. {findings.rule}"),
    ]


def model_tiles(findings: Findings) -> list[Tile]:
    """By what the rows are scored, and what was assumed."""
    fitted, head = findings.fitted, findings.fitted.head
    tiles = [] if not may_suspect(findings) else contamination_tiles(fitted)
    if isinstance(head, Verdict):
        terms = ", ".join(f"{name} {weight:g}" for name, weight in head.terms.items())
        return [
            Tile("Classes", f"{len(head.classes):,}"),
            Tile("Anomaly score", head.score_function, f"terms: {terms}"),
            *tiles,
        ]
    members = fitted.ensemble.n_members
    note = "1 member" if members == 1 else f"{members} members"
    return [Tile("Objective", objective_name(fitted.objective), note), *tiles]


def contamination_tiles(fitted: Fitted) -> list[Tile]:
    """How many anomalies were assumed, and how they were dealt with."""
    low, high = fitted.estimate.low, fitted.estimate.high
    interval = "of the training rows" if low == high else f"{show_share(low)} to {show_share(high)}"
    return [
        Tile("Contamination", show_share(fitted.contamination), interval),
        Tile("Exposure", fitted.exposure, EXPOSURES.get(fitted.exposure, "")),
    ]


def may_suspect(findings: Findings) -> bool:
    """Whether training rows were assumed to be anomalous, or it was estimated how many are."""
    return findings.fitted.contamination > 0 or not isinstance(findings.fitted.head, Verdict)


def class_tiles(found: Measured | None) -> list[Tile]:
    """How right and how watchful a classifier is."""
    if found is None:
        return []
    tiles, was, now = [], found.before, found.after
    if now is not None and found.comparison is not None:
        rows = f"of {found.comparison['rows']:,} held-out rows" + (", before → after exposure" if was else "")
        tiles += [
            Tile("Accuracy", change(was, now, "accuracy"), rows),
            Tile("Calibration error", change(was, now, "calibration_error"), "between probability and accuracy"),
        ]
        if now["auroc"] is not None:
            outliers = f"{found.comparison['outliers']:,} held-out outliers; 0.5 is chance"
            tiles += [
                Tile("AUROC of outliers", change(was, now, "auroc", "{:.3f}"), outliers),
                Tile("Outliers flagged", change(was, now, "outliers_flagged"), "of the held-out ones"),
            ]
    if found.here:
        rows = f"of the {found.here['rows']:,} rows of known classes"
        tiles.append(Tile("Accuracy here", percent(found.here["accuracy"]), rows))
    return tiles


def label_tiles(findings: Findings, check: Mapping[str, Any] | None) -> list[Tile]:
    """How the ranking compares with what is known."""
    if check is None:
        return []
    if findings.classes is not None:
        return [Tile("AUROC of other classes", f"{check['auroc']:.3f}", f"{check['anomalies']:,} rows here")]
    chance = f"chance is {check['anomalies'] / check['n']:.3f}"
    hits = f"{check['hits']} of {len(findings.suspects)}"
    return [
        Tile("AUROC against labels", f"{check['auroc']:.3f}", "0.5 is chance, 1 is perfect"),
        Tile("Average precision", f"{check['average_precision']:.3f}", chance),
        Tile("Anomalies in the list", hits, "suspects below, by their labels"),
    ]


def percent(share: float | None) -> str:
    """A share with one decimal."""
    return "none" if share is None else f"{100 * share:.1f} %"


def change(was: Side | None, now: Side, name: str, style: str = "") -> str:
    """A figure before and after, where both are known."""
    sides = [side for side in (was, now) if side is not None]
    return " → ".join(style.format(side[name]) if style else percent(side[name]) for side in sides)


def against_labels(findings: Findings) -> dict[str, Any] | None:
    """How the ranking compares with known labels; None without both kinds of rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if findings.labels is None or not {0, 1} <= set(findings.labels.tolist()):
        return None
    known = findings.labels >= 0
    truth, scores = findings.labels[known], findings.scores[known]
    return {
        "n": int(known.sum()),
        "anomalies": int(truth.sum()),
        "auroc": float(roc_auc_score(truth, scores)),
        "average_precision": float(average_precision_score(truth, scores)),
        "hits": sum(suspect.label == 1 for suspect in findings.suspects),
    }


# --------------------------------------------------------------------------------------------------- sentences


def model_sentences(findings: Findings) -> list[str]:
    """What contamination is, and where its value comes from."""
    if not may_suspect(findings):
        return []
    method = show_text(findings.fitted.estimate.method, LONGEST_NOTE).rstrip(".")
    return [f"Contamination is the share of anomalies assumed in the training data; {method}."]


def class_sentences(findings: Findings, found: Measured | None) -> list[str]:
    """What held-out rows are, or that there are none, and which classes are new."""
    if found is None:
        return []
    sentences = held_out_sentences(found)
    if findings.classes is not None and findings.classes.foreign:
        listed = ", ".join(f"{name} ({rows:,})" for name, rows in findings.classes.foreign)
        sentences.append(
            f"Some rows are of classes that the model was not trained on: {listed}. They count as anomalies, and not "
            "towards accuracy."
        )
    return sentences


def held_out_sentences(found: Measured) -> list[str]:
    """What held-out rows were used for."""
    if not found.comparison:
        return [
            "No rows were held out when the model was trained, so accuracy is known only for these rows, if their "
            "classes are."
        ]
    sentences = [
        "Held-out rows were not trained on. The threshold, the p-values and the temperature of the probabilities were "
        "taken from the same rows, so here as many lie above the threshold as it says. Held-out outliers are of the "
        "kind that the model was exposed to; other kinds may be harder."
    ]
    if found.before is None:
        sentences.append(
            "The model was not trained a second time without outliers, so there is no figure from before exposure."
        )
    return sentences


def label_sentences(findings: Findings, check: Mapping[str, Any] | None) -> list[str]:
    """What labels were used for."""
    if check is None or findings.classes is not None:
        return []
    return [
        f"The labels of {check['n']:,} rows ({check['anomalies']:,} anomalies) were used only for the figures above, "
        "after scoring."
    ]


# ----------------------------------------------------------------------------------------------------- classes


def class_table(findings: Findings, found: Measured | None) -> Table | None:
    """The share of each class that is classified rightly; None where nothing is known of it."""
    if found is None or not found.sides:
        return None
    names = findings.fitted.head.classes.tolist()  # type: ignore[union-attr]
    counted = ["held-out rows"] if found.after else []
    rows = [[show_text(name), *cells_of(found, place)] for place, name in enumerate(names[:MOST_CLASSES])]
    note = f"The first {len(rows)} of {len(names)} classes." if len(names) > len(rows) else ""
    return Table(["class", *counted, *found.sides], rows, note)


def cells_of(found: Measured, place: int) -> Sequence[str]:
    """What is known of one class."""
    counted = [f"{found.after['per_class'][place]['rows']:,}"] if found.after else []
    accuracies = [percent(side["per_class"][place]["accuracy"]) for side in found.sides.values()]
    if found.here and found.here["per_class"][place]["rows"]:
        accuracies[-1] += f" of {found.here['per_class'][place]['rows']:,}"
    return [*counted, *accuracies]
