"""The model that is served, and how another takes over when it stands in the folder: between two answers, or not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from expose.errors import InputError, MissingExtraError, ModelFolderError
from expose.files import column_names
from expose.persistence import DESCRIPTION, checksum_of
from expose.scoring import Scorer
from expose.serve.garbage import settle_again
from expose.stores import Place, Stored, place_of

ROUNDS: Final = 5  # of reading, where another model comes in between
SHOWN: Final = 16  # digits of a checksum that tell models apart

Log = Callable[..., None]


@dataclass(frozen=True)
class Served:
    """A model that answers.

    Attributes
    ----------
    scorer : Scorer
    checksum : str
        SHA-256 of its ``model.json``, which holds those of its arrays.
    generation : int
        How many models have been served so far, this one included.
    written : datetime or None
        When ``model.json`` was written, where the place tells.
    """

    scorer: Scorer
    checksum: str
    generation: int
    written: datetime | None = None
    loaded: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def name(self) -> str:
        """What tells it from other models."""
        return self.checksum[:SHOWN]

    def described(self, media: Sequence[str]) -> dict[str, Any]:
        """What a person or program wants to know of it, in JSON types."""
        fitted, scorer = self.scorer.fitted, self.scorer
        low, high = fitted.contamination_interval
        return {
            "model": self.name,
            "checksum": self.checksum,
            "generation": self.generation,
            "kind": fitted.kind.name,
            "sample": fitted.kind.noun,
            "objective": fitted.objective.name or type(fitted.objective).__name__,
            "members": fitted.ensemble.n_members,
            "columns": self.columns,
            "roles": self.roles,
            "accepts": list(media),
            "answers": answers_of(scorer),
            "threshold": {
                "score": finite(fitted.threshold_score(scorer.threshold)),
                "rule": fitted.threshold_rule(scorer.threshold),
            },
            "training": {
                "samples": len(fitted.training),
                "share_of_anomalies": {"estimate": fitted.contamination, "low": low, "high": high},
                "notes": list(fitted.notes),
                "written": None if self.written is None else self.written.isoformat(timespec="seconds"),
            },
            "calibration_samples": 0 if fitted.calibration is None else len(fitted.calibration),
            "loaded": self.loaded.isoformat(timespec="seconds"),
            "expose": version("expose"),
        }

    @property
    def roles(self) -> dict[str, Any]:
        """Columns by what they are for, beside those that are looked at."""
        reading, known = self.scorer.reading, self.scorer.fitted.columns
        several = {"id": reading.id, "ignored": reading.ignore, "entity": reading.entity, "photo": reading.photo}
        named: dict[str, Any] = {role: column_names(names, known) for role, names in several.items()}
        named |= {"label": reading.label, "time": reading.time, "text": reading.text, "views": list(reading.views)}
        return {role: names for role, names in named.items() if names}

    @property
    def columns(self) -> list[dict[str, str]]:
        """The columns that are looked at, and what each counts as."""
        fitted = self.scorer.fitted
        read = [{"name": one.name, "kind": one.kind, "how": one.how} for one in fitted.encoder.columns_read]
        return read or [{"name": name, "kind": "number", "how": ""} for name in fitted.columns]


def answers_of(scorer: Scorer) -> list[str]:
    """The columns of an answer, ids aside."""
    fitted = scorer.fitted
    return list(scorer.named(fitted.decide(fitted.outputs(fitted.typical[:1]), scorer.threshold)))


def finite(value: float) -> float | None:
    """A number as JSON has it."""
    return value if value - value == 0 else None


class Models:
    """Holds the model that is served, and looks whether another one stands in its folder.

    Parameters
    ----------
    folder : path
        Or a link to a folder.
    log : callable
        What is called with what happens.
    **given
        ``id``, ``threshold`` and ``device`` of the scorer.

    Raises
    ------
    ModelFolderError
        When there is no model.
    """

    def __init__(self, folder: str | Place, log: Log, **given: Any) -> None:
        self.place, self.log, self.given = place_of(folder), log, given
        self.swaps: dict[str, int] = {"taken over": 0, "refused": 0}
        self.when_new: list[Callable[[Served], None]] = []
        self._turn, self._refused = threading.Lock(), ""
        self.current = self._loaded(1)

    def look(self) -> bool:
        """Take over another model, if one stands in the folder; whether it was. A broken one is refused."""
        with self._turn:
            try:
                if self._checksum() == self.current.checksum:
                    self._refused = ""
                    return False
                found = self._loaded(self.current.generation + 1)
                for act in self.when_new:
                    act(found)
            except (ModelFolderError, InputError, MissingExtraError, OSError, MemoryError) as error:
                self._refuse(error)
                return False
            before, self.current, self._refused = self.current, found, ""
            self.swaps["taken over"] += 1
        self.log("model taken over", model=found.name, generation=found.generation, before=before.name)
        return True

    def _refuse(self, error: Exception) -> None:
        """Say once why a folder is not taken over."""
        reason = " ".join(str(error).split())
        if reason != self._refused:
            self._refused = reason
            self.swaps["refused"] += 1
            self.log("model refused", level="error", reason=reason, serving=self.current.name)

    def _checksum(self) -> str:
        """That of the description; empty where there is none."""
        try:
            return checksum_of(self.place.resolve())
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def _written(self) -> datetime | None:
        target = self.place.resolve() / DESCRIPTION
        return None if isinstance(target, Stored) else datetime.fromtimestamp(target.stat().st_mtime, UTC)

    def _loaded(self, generation: int) -> Served:
        """The model that stands in the folder, and no mixture of two."""
        for _ in range(ROUNDS):
            before = self._checksum()
            scorer = Scorer(self.place, **self.given)
            if self._checksum() == before:
                return Served(scorer, before, generation, self._written())
        raise ModelFolderError(f"{self.place}: models come faster than they can be read.")


class Watcher:
    """Looks every few seconds, in a thread of its own, whether another model stands in the folder."""

    def __init__(self, models: Models, every: float | None) -> None:
        self.models, self.every = models, every
        self._asked, self._stopped = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="expose-models", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask(self) -> None:
        """Look now."""
        self._asked.set()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopped = True
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def _run(self) -> None:
        while True:
            self._asked.wait(self.every)
            self._asked.clear()
            if self._stopped:
                return
            if self.models.look():
                settle_again()
