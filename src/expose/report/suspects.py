"""The most anomalous rows, each with what a person can know it by, and what makes it unusual."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.decide import Combination
from expose.explain import Explanation
from expose.model import Decisions, Fitted
from expose.report.given import KnownClasses
from expose.report.readable import Readable
from expose.report.typical import describe_typical, show_text, show_value

MOST_REASONS = 6  # shown per suspect
SMALLEST_SHARE = 0.01  # what explains less of a suspect's excess score is not shown
TELLING = 0.1  # share of a reason whose lines are shown
DESCRIBED_ROWS = 1_000  # typical rows whose values are put into words,
DESCRIBED_VALUES = 200_000  # and fewer where each has many values
MOST_IDS = 2  # found by the encoder
MOST_FACTS, FACT_SIGNS = 12, 600  # shown of one suspect

Rows = NDArray[np.intp]
Shown = Mapping[str, Any]


@dataclass(frozen=True)
class Reason:
    """What makes a suspect unusual: ``share`` of its excess score is due to it.

    ``value`` and ``typical`` are None where it is nothing that a person could read.
    """

    name: str
    value: str | None
    typical: str | None
    share: float


@dataclass(frozen=True)
class Suspect:
    """One of the most anomalous rows.

    Attributes
    ----------
    noun : str
        What it is: "row".
    rank, row : int
    ids, facts : tuple of (name, value)
        Its names, and what a person sees of it beside the values among the reasons.
    score : float
    components : tuple of (name, score)
        Scores that it is the largest of, if there are such.
    flagged : bool
    p_value : float or None
        None for a row trained on, and without calibration.
    label : int or None
        1 anomaly, 0 normal, -1 unknown; None without labels.
    weight : float or None
        Its latent label, None for a row not trained on.
    disagreement : float or None
        Of the members, None of one alone.
    predicted, probability, known_class : str, float, str; or None
        What a classifier takes it for, and what it is.
    reasons : tuple of Reason
        The most telling first.
    """

    noun: str
    rank: int
    row: int
    ids: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    score: float
    components: tuple[tuple[str, float], ...]
    flagged: bool
    p_value: float | None
    label: int | None
    weight: float | None
    disagreement: float | None
    predicted: str | None
    probability: float | None
    known_class: str | None
    reasons: tuple[Reason, ...]

    @property
    def name(self) -> str:
        """Ids where there are any, otherwise the row number."""
        return ", ".join(value for _, value in self.ids) or f"{self.noun} {self.row}"

    @property
    def found_by(self) -> str | None:
        """The component that the score is."""
        return max(self.components, key=lambda one: one[1])[0] if self.components else None

    @property
    def brief(self) -> list[tuple[str, str]]:
        """What stands in the list before it is opened: its first reasons or, without any value, facts."""
        telling = [(reason.name, reason.value) for reason in self.reasons[:2] if reason.value is not None]
        return telling or [(name, show_text(value)) for name, value in self.facts[:2]]


@dataclass(frozen=True)
class Known:
    """What is known of all n rows, and does not depend on their scores."""

    ids: Mapping[str, Sequence[Any]]
    labels: NDArray[np.int64] | None
    classes: KnownClasses | None
    trained_on: bool


def suspects_of(
    fitted: Fitted,
    shown: Readable,
    rows: Rows,
    parts: NDArray[np.float32],
    said: Decisions,
    known: Known,
    reasons: Sequence[tuple[Reason, ...]],
) -> tuple[Suspect, ...]:
    """Gather what is to be said of the suspects ``rows``, encoded ``parts``, the most suspicious first."""
    differ, components = disagreement(fitted, parts), fitted.components(parts)
    classes = None if said.predicted is None else fitted.head.classes[said.predicted[rows]]  # type: ignore[union-attr]
    explained = [name for name, _ in fitted.encoder.groups]
    return tuple(
        Suspect(
            noun=fitted.kind.noun,
            rank=place + 1,
            row=row,
            ids=called(fitted, shown, known.ids, row),
            facts=facts_of(
                seen_of(fitted, shown, row, reasons[place]), {*(known.ids or fitted.kind.identifies), *explained}
            ),
            score=float(said.anomaly_score[row]),
            components=tuple((name, float(scores[place])) for name, scores in components.items()),
            flagged=bool(said.is_anomaly[row]),
            p_value=None if said.p_value is None or known.trained_on else float(said.p_value[row]),
            label=None if known.labels is None else int(known.labels[row]),
            weight=float(fitted.latent[row]) if known.trained_on else None,
            disagreement=None if differ is None else float(differ[place]),
            predicted=None if classes is None else show_text(classes[place]),
            probability=None if said.probability is None else float(said.probability[row]),
            known_class=None if known.classes is None else known.classes.name(row),
            reasons=reasons[place],
        )
        for place, row in enumerate(rows.tolist())
    )


def called(fitted: Fitted, shown: Readable, ids: Mapping[str, Sequence[Any]], row: int) -> tuple[tuple[str, str], ...]:
    """What a row is called: by its owner, else by what it shows itself."""
    return ids_of(ids, row) or found_ids(fitted, shown.show(row))


def ids_of(ids: Mapping[str, Sequence[Any]], row: int) -> tuple[tuple[str, str], ...]:
    """What a row is called by its owner."""
    return tuple((show_text(name) if name else "", show_text(column[row])) for name, column in ids.items())


def found_ids(fitted: Fitted, seen: Shown) -> tuple[tuple[str, str], ...]:
    """What a row is called by the columns that the encoder took for identifiers, or what names all of its kind."""
    names = [column.name for column in fitted.encoder.columns_read if column.kind == "identifier"]
    names += fitted.kind.identifies
    return tuple((show_text(name), show_value(seen[name])) for name in names[:MOST_IDS] if name in seen)


def disagreement(fitted: Fitted, parts: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Standard deviation of the members' scores of some encoded rows, in robust units; None of one member."""
    if fitted.ensemble.n_members == 1 or not isinstance(fitted.head, Combination):
        return None
    spread: NDArray[np.float64] = fitted.head.standardise(fitted.member_outputs(parts)).std(axis=0)
    return spread


def seen_of(fitted: Fitted, shown: Readable, row: int, reasons: Sequence[Reason]) -> Shown:
    """What a person sees of a sample: of what is long the lines that show why, where there are such."""
    seen = shown.show(row)
    telling = [reason.name for reason in reasons if reason.share >= TELLING]
    lines = fitted.kind.excerpt(shown.samples, row, telling) if "excerpt" in seen else []
    return {**seen, "excerpt": "\n".join(lines)} if lines else seen


def facts_of(shown: Shown, said: Collection[str]) -> tuple[tuple[str, str], ...]:
    """What a person sees of a sample in words, but for its names, and values that are reasons if they matter."""
    others = [(name, value) for name, value in shown.items() if name not in said][:MOST_FACTS]
    longest = max(80, FACT_SIGNS // max(1, len(others)))
    return tuple(
        (show_text(name), show_text(value, longest, keep="\n") if isinstance(value, str) else show_value(value))
        for name, value in others
    )


def reasons_of(readable: Readable, rows: Rows, typical: Rows, found: Explanation) -> list[tuple[Reason, ...]]:
    """What explains each suspect; values are compared with those of typical rows where a person can read them.

    Where the encoder distinguishes nothing, and what it has encoded cannot be read, there are no reasons.
    """
    shown = [readable.show(row) for row in rows.tolist()]
    if len(found.names) == 1 and found.names[0] not in shown[0]:
        return [()] * len(rows)
    tops = [[one for one in found.top(place, MOST_REASONS) if one[1] >= SMALLEST_SHARE] for place in range(len(rows))]
    names = shown[0].keys() & {name for top in tops for name, _ in top}
    described = min(DESCRIBED_ROWS, max(10, DESCRIBED_VALUES // max(1, len(shown[0]))))
    others = [readable.show(row) for row in typical[:described].tolist()] if names else []
    usual = {name: describe_typical([other.get(name) for other in others]) for name in names}
    return [
        tuple(
            Reason(show_text(name), show_value(values.get(name)) if name in usual else None, usual.get(name), share)
            for name, share in top
        )
        for top, values in zip(tops, shown, strict=True)
    ]
