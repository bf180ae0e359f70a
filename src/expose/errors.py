"""Named errors and warnings, so that callers can catch or silence exactly one thing."""

from __future__ import annotations


class InputError(ValueError):
    """The data given cannot be used as they are; the message says where and what to do."""


class ModelFolderError(ValueError):
    """A model folder or checkpoint is damaged, incomplete, or from a newer version."""


class MissingExtraError(ImportError):
    """An optional dependency is absent; the message holds the line that installs it."""


class NonFiniteLossError(RuntimeError):
    """A loss became NaN or infinite during training."""


class ExposeWarning(UserWarning):
    """Base class of every warning of this package."""


class CollapseWarning(ExposeWarning):
    """The network maps every row to nearly the same point: its scores carry little information."""


class ConstantScoresWarning(ExposeWarning):
    """All training rows have the same anomaly score: no ranking can be made of them."""


class TooFewRowsWarning(ExposeWarning):
    """There are so few training rows that the result is hardly better than a guess."""


class DataWarning(ExposeWarning):
    """The data differ from what was seen in training in a way that has a defined, harmless treatment."""


class ExposureWarning(ExposeWarning):
    """How auxiliary outliers are exposed or scored spoils what the classifier learned."""


class CheckpointWarning(ExposeWarning):
    """The checkpoint file found belongs to another training; this one starts anew and will overwrite it."""


class InterruptedWarning(ExposeWarning):
    """Training was stopped before its last epoch; the model is usable as it is."""


class FailedRunsWarning(ExposeWarning):
    """Some runs of a benchmark failed; their rows are missing, and the same call tries them again."""


class CalibrationWarning(ExposeWarning):
    """The held-out rows do not determine a temperature; the nearest bound of the allowed range was taken."""
