"""Named errors and warnings, so that callers can catch or silence exactly one thing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Self

_SHOWN, _KEPT = 5, 1000  # examples in a message, and those kept for the messages of later batches
_DATABASE: Final = r"postgres(?:ql)?(?:\+\w+)?:/{1,2}"
# between a user and @; where a password holds an @ or / itself, taking away too much is better than too little
_PASSWORD: Final = re.compile(
    rf"({_DATABASE}[^\s:/?#@]*):(?:[^\s/@]*@(?![^\s#]*@)|\S*@)|(\b[a-z][a-z\d+.-]*:/{{1,2}}[^\s:/?#@]*):[^\s/]*@", re.I
)
_SETTING: Final = re.compile(
    rf"({_DATABASE}\S*?)(?:(\?)(?:ssl)?password=[^\s&#]*&|[?&](?:ssl)?password=[^\s&#]*)", re.I
)


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


class CountedWarning(DataWarning):
    """So many rows or files have something in common; what is said of several batches can be added up.

    Parameters
    ----------
    template : str
        What is said, with ``{count}`` and, if there are any, ``{examples}`` in it. Warnings of one template can be
        added.
    count : int
    examples : iterable of object
        Different values or names, to show the first few of.

    Examples
    --------
    >>> first, second = (CountedWarning("{count} row(s) are odd ({examples})", 1200, [name]) for name in "ab")
    >>> print(first + second)
    2,400 row(s) are odd ('a', 'b')
    """

    def __init__(self, template: str, count: int, examples: Iterable[object] = ()) -> None:
        self.template, self.count = template, int(count)
        self.examples = tuple(examples)
        super().__init__(template, self.count, self.examples)

    def __add__(self, other: Self) -> Self:
        """The warning about the rows of both."""
        every = tuple(dict.fromkeys([*self.examples, *other.examples]))
        return type(self)(self.template, self.count + other.count, every[: self._kept()])

    def __str__(self) -> str:
        """The whole message."""
        shown = ", ".join(map(repr, self.examples[:_SHOWN]))
        more = len(self.examples) - _SHOWN
        if more > 0:
            shown += f" and {more:,} more" if len(self.examples) != self._kept() else " and many more"
        return self.template.replace("{count}", f"{self.count:,}").replace("{examples}", shown)

    @classmethod
    def _kept(cls) -> int | None:
        """How many examples are kept: a column of ten million names is not to be held for a message."""
        return _KEPT


class SkippedWarning(CountedWarning):
    """Files that could not be read were left out, as was asked for; all of them are kept as examples."""

    @classmethod
    def _kept(cls) -> int | None:
        return None


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


def without_passwords(text: str) -> str:
    """A text in which addresses hold no password; they can be typed as they are then, where it comes from elsewhere.

    Examples
    --------
    >>> without_passwords("postgresql://ann:secret@host/db?password=secret#events")
    'postgresql://ann@host/db#events'
    """
    text, found = _PASSWORD.sub(lambda one: f"{one[1] or one[2]}@", text), 1
    while found:
        text, found = _SETTING.subn(lambda one: one[1] + (one[2] or ""), text)
    return text
