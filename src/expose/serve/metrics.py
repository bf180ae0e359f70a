"""What can be counted of a service, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

from expose.serve.models import Models
from expose.serve.watch import Watch

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096, 16_384, 65_536)


class Metrics:
    """Counters of one application, in a registry of their own.

    Parameters
    ----------
    models : Models
    watch : Watch
    unfinished : callable
        How many requests wait for their scores.
    """

    def __init__(self, models: Models, watch: Watch, unfinished: Callable[[], int]) -> None:
        self.total = 0
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "expose_requests", "Answers by path, method and status.", ["path", "method", "status"], **own
        )
        self.seconds = Histogram(
            "expose_request_seconds",
            "From the first byte of a request to its answer.",
            ["path"],
            buckets=_SECONDS,
            **own,
        )
        self.rows = Counter("expose_rows", "Samples that were scored.", **own)
        self.flagged = Counter("expose_flagged", "Samples that were flagged as anomalies.", **own)
        self.noted = Counter("expose_noted_requests", "Requests of whose data there was something to say.", **own)
        self.batch_rows = Histogram("expose_batch_rows", "Samples that were scored together.", buckets=_ROWS, **own)
        self.batch_requests = Histogram(
            "expose_batch_requests", "Requests that were scored together.", buckets=_ROWS[:9], **own
        )
        Gauge("expose_waiting_requests", "Requests that are scored or wait for it.", **own).set_function(unfinished)
        self.registry.register(OfModels(models, watch))

    def scored(self, table: Any, *, noted: bool) -> None:
        """Count the rows of an answer."""
        self.rows.inc(len(table))
        self.flagged.inc(int(np.count_nonzero(table["is_anomaly"].to_numpy())))
        if noted:
            self.noted.inc()

    def batch(self, rows: int, requests: int) -> None:
        """Count what was scored together."""
        self.batch_rows.observe(rows)
        self.batch_requests.observe(requests)

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.total += 1
        self.requests.labels(path, method, str(status)).inc()
        self.seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self.registry)


class OfModels:
    """What is known of the model that is served when somebody asks."""

    def __init__(self, models: Models, watch: Watch) -> None:
        self.models, self.watch = models, watch

    def collect(self) -> Any:
        """Generation, name, threshold, and how often another model was taken over or refused."""
        served = self.models.current
        yield GaugeMetricFamily("expose_model_generation", "How many models were served so far.", served.generation)
        yield InfoMetricFamily(
            "expose_model", "The model that is served.", {"model": served.name, "kind": served.scorer.fitted.kind.name}
        )
        line = float(served.scorer.fitted.threshold_score(served.scorer.threshold))
        yield GaugeMetricFamily("expose_threshold_score", "Score above which a sample is flagged.", line)
        swaps = GaugeMetricFamily("expose_model_changes", "Models that were taken over or refused.", labels=["what"])
        for what, count in self.models.swaps.items():
            swaps.add_metric([what], count)
        yield swaps
        yield from self._of_scores()

    def _of_scores(self) -> Iterator[Any]:
        """How far the scores of the last hour, or whatever was said, are from those of training."""
        found, alarm = self.watch.verdict(), self.watch.alarm
        gauges = {
            "moved": ("Whether scores of the window are not as in training.", float(found.moved)),
            "distance": ("Kolmogorov-Smirnov distance to the scores of training.", found.distance),
            "tolerance": ("The distance that counts as none.", found.tolerance),
            "p_value": ("Of the hypothesis that scores are as in training.", found.p_value),
            "rows": ("Samples in the window.", float(found.rows)),
            "flagged_share": ("Share of them that is flagged.", found.flagged),
            "expected_share": ("Share that was expected.", found.expected),
            "alarm": ("Whether the alarm is on, which may be asked at any time.", float(alarm.on)),
        }
        for name, (what, value) in gauges.items():
            yield GaugeMetricFamily(f"expose_drift_{name}", what, value)
