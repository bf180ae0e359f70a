"""Whether the scores that are given are distributed as those of training: of the last hour, and at any time."""

from __future__ import annotations

import threading
from typing import Any

from expose.decide import Alarm, Drift, DriftVerdict, Recent
from expose.serve.models import Log, Served

HOUR = 3_600.0


class Watch:
    """Watches the scores of the model that is served; of another one it begins anew.

    Parameters
    ----------
    served : Served
    log : callable
        What is called when scores have moved, and when they are as in training again.
    seconds : float
        Of how long the verdict is.
    """

    def __init__(self, served: Served, log: Log, seconds: float = HOUR) -> None:
        self.log, self.seconds, self._lock = log, seconds, threading.Lock()
        self.renew(served)

    def renew(self, served: Served) -> None:
        """Begin anew, with another model."""
        scorer = served.scorer
        drift = Drift.against(scorer.fitted, scorer.threshold)
        recent, alarm = Recent(drift, seconds=self.seconds), Alarm(drift)
        with self._lock:
            self.served, self.recent, self.alarm = served, recent, alarm

    def add(self, served: Served, scores: Any) -> None:
        """Count scores that were given, ``(n,)``; those of a model that is not served any more say nothing."""
        with self._lock:
            if served.generation != self.served.generation:
                return
            self.recent.add(scores)
            turned = list(self.alarm.add(scores))
        for verdict, row in turned:
            begun = verdict == "moved"
            self.log(
                "scores have moved" if begun else "scores are as in training again",
                level="warning" if begun else "info",
                rows=row,
                model=served.name,
            )

    def verdict(self) -> DriftVerdict:
        """What the scores of the window say."""
        with self._lock:
            return self.recent.verdict()

    def facts(self) -> dict[str, Any]:
        """The verdict, and the alarm, in JSON types."""
        with self._lock:
            found = self.recent.verdict()
            alarm = {"on": self.alarm.on, "since_row": self.alarm.since, "rows": self.alarm.rows}
        noun = self.served.scorer.fitted.kind.noun
        return {"seconds": self.seconds, "said": found.said(noun), **found.facts(), "alarm": alarm}
