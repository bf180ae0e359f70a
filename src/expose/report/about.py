"""What the report says about the model: assumptions, settings, versions, and how to get the page again."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from expose.report.typical import clean_text, show_share, show_text

if TYPE_CHECKING:
    from expose.estimators.classifier import OutlierExposureClassifier
    from expose.estimators.detector import AnomalyDetector

    Model = AnomalyDetector | OutlierExposureClassifier

MOST_NOTES = 100
LONGEST_NOTE = 600
LONGEST_COMMAND = 20_000
STRIP_ENDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # shares at which the strip of the estimate may end
LIBRARIES = ("expose", "torch", "scikit-learn", "numpy", "pyarrow", "plotly")
EXPOSURES = {
    "blind": "trusts every training row",
    "refine": "leaves the most suspicious rows out",
    "hard": "uses the most suspicious rows as anomalies",
    "soft": "uses the most suspicious rows as half anomalies",
}


@dataclass(frozen=True)
class Contamination:
    """Assumed share of anomalies in training, its interval in words ("" if given), and where it is from."""

    value: float
    interval: str
    method: str


def contamination_of(detector: AnomalyDetector) -> Contamination:
    """Share used in training, with the interval and method of its estimate."""
    estimate = detector.contamination_estimate_
    method = show_text(estimate.method, LONGEST_NOTE).rstrip(".")
    if estimate.low == estimate.high:
        return Contamination(float(detector.contamination_), "", method)
    interval = f"{show_share(float(estimate.low))} to {show_share(float(estimate.high))}"
    return Contamination(float(detector.contamination_), interval, method)


@dataclass(frozen=True)
class Strip:
    """The estimated contamination on a line from 0 to `end`, its interval, the share above the threshold; in words."""

    value: float
    low: float
    high: float
    above: float
    end: float
    words: str


def strip_of(detector: AnomalyDetector, threshold: float) -> Strip | None:
    """What the strip shows; None where the contamination was given and there is no interval."""
    estimate = detector.contamination_estimate_
    if estimate.low == estimate.high:
        return None
    scores = detector.training_scores_
    flagged = int((scores > threshold).sum())
    value, low, high, above = float(estimate.value), float(estimate.low), float(estimate.high), flagged / len(scores)
    some = "" if detector.contamination_ == estimate.value else " of the rows without a label"
    words = (
        f"Contamination{some} {show_share(value)} ({show_share(low)} to {show_share(high)}). {flagged:,} of "
        f"{len(scores):,} training rows ({show_share(above)}) score above the threshold."
    )
    return Strip(value, low, high, above, next(end for end in STRIP_ENDS if end >= max(high, above)), words)


def objective_name(detector: AnomalyDetector) -> str:
    """Return the registered name of the objective, or the class of the user's own."""
    objective = detector.objective
    return objective if isinstance(objective, str) else type(objective).__name__


def exposure_name(detector: AnomalyDetector) -> tuple[str, str]:
    """Name of the exposure and what it does with suspicious rows."""
    name = detector.exposure_
    return name, EXPOSURES.get(name, "")


def notes_of(detector: Model) -> list[str]:
    """Return the notes on the training data, each of bounded length, and a count of those left out."""
    own: list[str] = getattr(detector, "notes_", [])  # a classifier has those of its encoder alone
    every = [*own, *(note for note in detector.encoder_.notes if note not in own)]
    shown = [show_text(note[:1].upper() + note[1:], LONGEST_NOTE) for note in every[:MOST_NOTES]]
    return shown if len(every) <= MOST_NOTES else [*shown, f"... and {len(every) - MOST_NOTES:,} more notes."]


def command_for(detector: Model, command: str | None) -> str:
    """Command given, else the one stored with the model, else the Python call that trained it."""
    stored = detector.metadata_.get("command")
    text = str(command or stored or f"{type(detector).__name__}({_changed_parameters(detector)}).fit(X)")
    return clean_text(text[:LONGEST_COMMAND], keep="\n\t")


def parameters_of(detector: Model) -> dict[str, str]:
    """Every parameter in words."""
    return {name: show_text(value) for name, value in sorted(detector.get_params(deep=False).items())}


def versions() -> dict[str, str]:
    """Versions of what produced the scores and the page."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def _changed_parameters(detector: Any) -> str:
    defaults = type(detector)().get_params(deep=False)
    given = detector.get_params(deep=False)
    return ", ".join(f"{name}={value!r}" for name, value in given.items() if repr(value) != repr(defaults.get(name)))
