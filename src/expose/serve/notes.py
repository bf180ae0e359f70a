"""Warnings about data, caught for the request whose data they are about."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from expose.errors import CountedWarning, ExposeWarning


class Notes:
    """What is to be said of the data of a request. What is counted is added up over its batches.

    Examples
    --------
    >>> notes = Notes()
    >>> with notes.caught():
    ...     for count in (2, 3):
    ...         warnings.warn(CountedWarning("{count} row(s) are odd", count), stacklevel=2)
    >>> notes.texts
    ['5 row(s) are odd']
    """

    def __init__(self) -> None:
        self._found: dict[str, Warning | str] = {}

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the warnings of this thread; those of others go their own way."""
        own = threading.get_ident()
        with warnings.catch_warnings():
            before = warnings.showwarning
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", ExposeWarning)

            def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
                if threading.get_ident() == own:
                    self.add(message)
                else:
                    before(message, category, *place, **more)

            warnings.showwarning = show
            yield

    def add(self, message: Warning | str) -> None:
        """Add a warning."""
        if isinstance(message, CountedWarning):
            known = self._found.get(message.template)
            self._found[message.template] = known + message if isinstance(known, CountedWarning) else message
        else:
            self._found.setdefault(str(message), str(message))

    def take(self, others: Notes) -> None:
        """Add those of others."""
        for one in others._found.values():
            self.add(one)

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def texts(self) -> list[str]:
        """Sentences, each once."""
        return [" ".join(str(one).split()) for one in self._found.values()]
