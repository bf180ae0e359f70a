"""What the report says about the model: assumptions, settings, versions, and how to get the page again."""

from __future__ import annotations

import platform
from dataclasses import astuple
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from expose.encoders.base import ColumnRead
from expose.model import Fitted
from expose.objectives import Objective
from expose.objectives.recipes import Recipe
from expose.report.findings import Model
from expose.report.typical import clean_text, said_of, show_share, show_text

MOST_NOTES = 100
MOST_COLUMNS, FEW_COLUMNS = 200, 12  # shown of those that were read; so few are not folded away
LONGEST_NOTE = 600
LONGEST_COMMAND = 20_000
STRIP_ENDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # shares at which the strip of the estimate may end
LIBRARIES = ("expose", "torch", "scikit-learn", "numpy", "pyarrow", "plotly", "pillow")
EXPOSURES = {
    "blind": "trusts all training data",
    "refine": "leaves the most suspicious out",
    "hard": "uses the most suspicious as anomalies",
    "soft": "uses the most suspicious as half anomalies",
}


class Quality(NamedTuple):
    """Notes on the training data, how its columns were read, and how many more there are."""

    notes: list[str]
    columns: list[ColumnRead]
    more: int
    unfolded: bool


class Strip(NamedTuple):
    """The estimated contamination on a line from 0 to `end`, its interval, the share above the threshold; in words."""

    value: float
    low: float
    high: float
    above: float
    end: float
    words: str


def strip_of(fitted: Fitted, threshold: float) -> Strip | None:
    """What the strip shows; None where the contamination was given and there is no interval."""
    value, low, high, _ = astuple(fitted.estimate)
    nouns = f"{fitted.kind.noun}s"
    if low == high:
        return None
    flagged, n = int((fitted.training_scores > threshold).sum()), len(fitted.training_scores)
    some = "" if fitted.contamination == value else " without a label"
    words = (
        f"An estimated {show_share(value)} of the training {nouns}{some} are anomalies, but anything from "
        f"{show_share(low)} to {show_share(high)} is plausible. Of all {n:,}, {flagged:,} ({show_share(flagged / n)}) "
        "score above the threshold."
    )
    end = next(end for end in STRIP_ENDS if end >= max(high, flagged / n))
    return Strip(value, low, high, flagged / n, end, words)


def objective_name(objective: Objective) -> str:
    """The registered name of the objective, or the class of the user's own."""
    return objective.name or type(objective).__name__


def quality_of(fitted: Fitted) -> Quality | None:
    """What was noticed of the training data, and how it was read; None where there is nothing to say."""
    notes, read = notes_of(fitted), fitted.encoder.columns_read
    columns = [ColumnRead(*(text and show_text(text) for text in column)) for column in read[:MOST_COLUMNS]]
    few = len(read) <= FEW_COLUMNS
    return Quality(notes, columns, len(read) - len(columns), few) if notes or columns else None


def notes_of(fitted: Fitted) -> list[str]:
    """The notes on the training data, each of bounded length, and a count of those left out."""
    noun = fitted.kind.noun
    shown = [said_of(show_text(note[:1].upper() + note[1:], LONGEST_NOTE), noun) for note in fitted.notes[:MOST_NOTES]]
    more = len(fitted.notes) - MOST_NOTES
    return [*shown, f"... and {more:,} more notes."] if more > 0 else shown


def command_for(model: Model, command: str | None) -> str:
    """Command given, else the one stored with the model, else the Python call that trained it."""
    stored = model.metadata_.get("command")
    defaults = type(model)().get_params(deep=False)
    given = {name: written(value) for name, value in model.get_params(deep=False).items()}
    changed = ", ".join(f"{name}={value}" for name, value in given.items() if value != written(defaults.get(name)))
    text = str(command or stored or f"{type(model).__name__}({changed}).fit(X)")
    return clean_text(text[:LONGEST_COMMAND], keep="\n\t")


def written(value: Any) -> str:
    """A parameter as one would write it in Python."""
    if isinstance(value, Objective | Recipe):
        settings = value.settings() if isinstance(value, Objective) else value.changes(type(value)())
        return f"{type(value).__name__}({', '.join(f'{name}={one!r}' for name, one in settings.items())})"
    return repr(value)


def settings_of(model: Model, objective: Objective) -> dict[str, dict[str, str]]:
    """Every parameter, of the estimator and of the objective, and the versions of what produced scores and page."""
    own = {"Parameters": model.get_params(deep=False), f"Objective {objective_name(objective)}": objective.settings()}
    in_words = {
        group: {name: show_text(value if isinstance(value, str) else written(value)) for name, value in values.items()}
        for group, values in own.items()
    }
    return {**in_words, "Versions": versions()}


def versions() -> dict[str, str]:
    """Versions of what produced the scores and the page."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found
