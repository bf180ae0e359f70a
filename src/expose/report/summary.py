"""The figures at the head of the page, and what accuracy is known by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from expose.decide import Verdict
from expose.estimators.prepare import EXPOSES_SUSPECTS
from expose.model import Fitted
from expose.report.about import EXPOSURES, LONGEST_NOTE, Strip, objective_name, strip_of
from expose.report.comparison import rightness
from expose.report.findings import Findings
from expose.report.typical import said_of, show_number, show_share, show_text

MOST_CLASSES = 50  # in the table of accuracies
HELD_OUT = (
    "Held-out {nouns} were not trained on. The threshold, the p-values and the temperature of the probabilities were "
    "taken from the same {nouns}, so here as many lie above the threshold as it says."
)
OF_A_KIND = "Held-out outliers are of the kind that the model was exposed to; other kinds may be harder."
NONE_HELD_OUT = (
    "No {nouns} were held out when the model was trained, so accuracy is known only for these, if their classes are."
)
DECIDES = "It decides how many are suspected and, unless a threshold is given, where the line is drawn."
ONCE = "The model was not trained a second time without outliers, so there is no figure from before exposure."

Side = Mapping[str, Any]  # what `rightness` or `measure` gives


class Tile(NamedTuple):
    """One figure: what it is, its value, and what is worth knowing of it."""

    name: str
    value: str
    note: str = ""
    hot: bool = False


class Summary(NamedTuple):
    """Tiles, the strip of the estimate, how it was estimated, and sentences."""

    tiles: list[Tile]
    strip: Strip | None
    method: str
    sentences: list[str]


class Table(NamedTuple):
    """Cells in words under a header, and a note below."""

    header: list[str]
    rows: list[list[str]]
    note: str


class Measured(NamedTuple):
    """How right a classifier is, on held-out rows before and after exposure, and on the rows of the report.

    One that was not exposed to anything has only one side on held-out rows, ``after``.
    """

    before: Side | None = None
    after: Side | None = None
    here: Side | None = None
    rows: int = 0  # held out
    outliers: int = 0
    nouns: str = "rows"
    exposed: bool = True

    @property
    def last(self) -> str:
        """What the figures of the model itself are called."""
        return "after exposure" if self.exposed else "held out"

    @property
    def sides(self) -> dict[str, Side]:
        """All there are, by name."""
        named = {"before exposure": self.before, self.last: self.after, f"these {self.nouns}": self.here}
        return {name: side for name, side in named.items() if side is not None}


def measured(findings: Findings, comparison: Mapping[str, Any] | None) -> Measured | None:
    """How right the model is, as far as it is known; None of a detector."""
    head, classes = findings.fitted.head, findings.known.classes
    if not isinstance(head, Verdict):
        return None
    given = findings.fitted.metadata.get("comparison") or {} if comparison is None else comparison
    known = Measured(**given, nouns=findings.nouns, exposed=was_exposed(findings.fitted))
    some = np.zeros(0, dtype=bool) if classes is None else classes.numbers >= 0
    if classes is None or not some.any():
        return known
    return known._replace(here=rightness(head, findings.said.take(some), classes.numbers[some]))


def was_exposed(fitted: Fitted) -> bool:
    """Whether a classifier learned from outliers, given or suspected."""
    given = any(epoch.get("outliers") is not None for epoch in fitted.history)
    return given or (fitted.contamination > 0 and fitted.exposure in EXPOSES_SUSPECTS)


def summary_of(findings: Findings, found: Measured | None) -> Summary:
    """All that the first section shows."""
    of_labels, labels_used = label_facts(findings)
    tiles = data_tiles(findings) + model_tiles(findings) + class_tiles(found) + of_labels
    sentences = model_sentences(findings) + class_sentences(findings, found) + labels_used
    return Summary(tiles, strip_of(findings.fitted, findings.threshold), method_of(findings.fitted), sentences)


# ------------------------------------------------------------------------------------------------------- tiles


def data_tiles(findings: Findings) -> list[Tile]:
    """Rows, columns, and what is flagged."""
    n, flagged = len(findings.scores), int(findings.flagged.sum())
    size = findings.fitted.kind.measure(findings.shown.samples)
    share = f"{show_share(flagged / n)} of these {findings.nouns} score above the threshold"
    return [
        Tile(findings.nouns.capitalize(), f"{n:,}", show_text(size, 200) if size else ""),
        values_tile(findings),
        Tile("Flagged", f"{flagged:,}", share, hot=flagged > 0),
        Tile("Threshold", show_number(findings.threshold), findings.rule),
    ]


def values_tile(findings: Findings) -> Tile:
    """By how many values rows are judged."""
    n_values = f"{findings.fitted.n_features:,}"
    if findings.has_columns:
        return Tile("Columns", n_values)
    return Tile("Values", n_values, f"that the encoder makes of each {findings.noun}")


def model_tiles(findings: Findings) -> list[Tile]:
    """By what the rows are scored, and what was assumed."""
    fitted, head = findings.fitted, findings.fitted.head
    tiles = [] if not may_suspect(findings) else contamination_tiles(fitted)
    if isinstance(head, Verdict):
        terms = ", ".join(f"{name} {weight:g}" for name, weight in head.terms.items())
        return [
            Tile("Classes", f"{len(head.classes):,}"),
            Tile("Anomaly score", head.score, f"terms: {terms}"),
            *tiles,
        ]
    members = fitted.ensemble.n_members
    note = "1 member" if members == 1 else f"{members} members"
    return [Tile("Objective", objective_name(fitted.objective), note), *tiles]


def contamination_tiles(fitted: Fitted) -> list[Tile]:
    """How many anomalies were assumed, and how they were dealt with."""
    low, high = fitted.contamination_interval
    given = "assumed" if fitted.estimate.method.startswith("assumed") else "given"
    nouns, value = f"training {fitted.kind.noun}s", show_share(fitted.contamination)
    if low == high:
        tile = Tile(f"Contamination, {given}", value, f"share of anomalies assumed among the {nouns}")
    else:
        share = f"share of anomalies among the {nouns} that is plausible; {value} was assumed"
        tile = Tile("Contamination, estimated", f"{show_share(low)} to {show_share(high)}", share)
    return [
        tile,
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
    if now is not None:
        rows = f"of {found.rows:,} held-out {found.nouns}" + (", before → after exposure" if was else "")
        tiles += [
            Tile("Accuracy", change(was, now, "accuracy"), rows),
            Tile("Calibration error", change(was, now, "calibration_error"), "between probability and accuracy"),
        ]
        if now["auroc"] is not None:
            chance = f"{found.outliers:,} held-out outliers; 0.5 is chance"
            tiles += [
                Tile("AUROC of outliers", change(was, now, "auroc", "{:.3f}"), chance),
                Tile("Outliers flagged", change(was, now, "outliers_flagged"), "of the held-out ones"),
            ]
    if found.here:
        rows = f"of the {found.here['rows']:,} {found.nouns} of known classes"
        tiles.append(Tile("Accuracy here", percent(found.here["accuracy"]), rows))
    return tiles


def label_facts(findings: Findings) -> tuple[list[Tile], list[str]]:
    """How the ranking compares with known labels, and what they were used for; nothing without both kinds of rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    labels = findings.known.labels
    if labels is None or not {0, 1} <= set(labels.tolist()):
        return [], []
    truth, scores = labels[labels >= 0], findings.scores[labels >= 0]
    area, anomalies = f"{roc_auc_score(truth, scores):.3f}", int(truth.sum())
    if findings.known.classes is not None:
        return [Tile("AUROC of other classes", area, f"{anomalies:,} {findings.nouns} here")], []
    hits = f"{sum(suspect.label == 1 for suspect in findings.suspects)} of {len(findings.suspects)}"
    precision, chance = average_precision_score(truth, scores), anomalies / len(truth)
    tiles = [
        Tile("AUROC against labels", area, "0.5 is chance, 1 is perfect"),
        Tile("Average precision", f"{precision:.3f}", f"chance is {chance:.3f}"),
        Tile("Anomalies in the list", hits, "the ranking below, by labels"),
    ]
    used = f"The labels of {len(truth):,} {findings.nouns} ({anomalies:,} anomalies) were used only for the figures "
    return tiles, [used + "above, after scoring."]


def percent(share: float | None) -> str:
    """A share with one decimal."""
    return "none" if share is None else f"{100 * share:.1f} %"


def change(was: Side | None, now: Side, name: str, style: str = "") -> str:
    """A figure before and after, where both are known."""
    sides = [side for side in (was, now) if side is not None]
    return " → ".join(style.format(side[name]) if style else percent(side[name]) for side in sides)


# --------------------------------------------------------------------------------------------------- sentences


def model_sentences(findings: Findings) -> list[str]:
    """What contamination is, and what it decides."""
    if not may_suspect(findings):
        return []
    fitted = findings.fitted
    given = "" if method_of(fitted) else f"; {sentence(fitted.estimate.method)}"
    return [f"Contamination is an assumption, the share of anomalies in the training data{given}. {DECIDES}"]


def method_of(fitted: Fitted) -> str:
    """How contamination was estimated; nothing where it was given."""
    low, high = fitted.contamination_interval
    return "" if low == high else said_of(sentence(fitted.estimate.method), fitted.kind.noun) + "."


def sentence(text: str) -> str:
    """Text of bounded length without a full stop."""
    return show_text(text, LONGEST_NOTE).rstrip(".")


def class_sentences(findings: Findings, found: Measured | None) -> list[str]:
    """What held-out rows are, or that there are none, and which classes are new."""
    if found is None:
        return []
    sentences = [(HELD_OUT if found.after else NONE_HELD_OUT).format(nouns=found.nouns)]
    if found.outliers and found.exposed:
        sentences.append(OF_A_KIND)
    if found.after and found.before is None and found.exposed:
        sentences.append(ONCE)
    if findings.known.classes is not None and findings.known.classes.foreign:
        listed = ", ".join(f"{name} ({rows:,})" for name, rows in findings.known.classes.foreign)
        sentences.append(
            f"Some {found.nouns} are of classes that the model was not trained on: {listed}. They count as anomalies, "
            "and not towards accuracy."
        )
    return sentences


# ----------------------------------------------------------------------------------------------------- classes


def class_table(findings: Findings, found: Measured | None) -> Table | None:
    """The share of each class that is classified rightly; None where nothing is known of it."""
    if found is None or not found.sides:
        return None
    names = findings.fitted.head.classes.tolist()  # type: ignore[union-attr]
    counted = [f"held-out {found.nouns}"] if found.after else []
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
