"""Logs that are made, with planted anomalies: sessions as of a distributed file system, and an application's log.

Anomalous sessions lack a step, repeat one, do steps in another order, hold a line that no other has, or a burst of one.
Anomalous minutes of the application's log hold a burst of failures, of one usual line, silence, lines that never were,
or all is slow. Anomalies are part of what is trained on, as an operator has them; a second log, written after the
first, is scored by the same model.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

from expose import AnomalyDetector
from expose.encoders import LogEncoder
from expose.encoders.templates import Matcher, drain
from expose.kinds import Logs, as_logs
from expose_lab.pages import Page, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

START = np.datetime64("2026-05-01T00:00:00", "ms")
STEPS = (
    "INFO dfs.DataNode$DataXceiver: Receiving block {id} src: /10.0.{a}.{b}:{port} dest: /10.0.{a}.{b}:50010",
    "INFO dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: /user/job{job}/part-{part} {id}",
    "INFO dfs.DataNode$PacketResponder: Received block {id} of size {size} from /10.0.{a}.{b}",
    "INFO dfs.DataNode$PacketResponder: PacketResponder {replica} for block {id} terminating",
    "INFO dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: updated: 10.0.{a}.{b}:50010 is added to {id} size {size}",
)
AFTER = (
    "INFO dfs.DataBlockScanner: Verification succeeded for {id}",
    "INFO dfs.DataNode$DataXceiver: 10.0.{a}.{b}:50010 Served block {id} to /10.0.{a}.{b}",
    "INFO dfs.FSNamesystem: BLOCK* NameSystem.delete: {id} is added to invalidSet of 10.0.{a}.{b}:50010",
    "INFO dfs.FSDataset: Deleting block {id} file /data/current/subdir{job}/{id}",
)
FAULTS = (
    "WARN dfs.DataNode$DataXceiver: writeBlock {id} received exception java.io.IOException: Connection reset by peer",
    "ERROR dfs.PendingReplicationMonitor: PendingReplicationMonitor timed out block {id}",
    "WARN dfs.DataNode: Unexpected error trying to delete block {id}. BlockInfo not found in volumeMap",
)
SESSION_FAULTS = ("missing step", "repeated step", "another order", "unseen line", "burst")
USUAL = (
    ("INFO web.Request GET /items/{n} 200 in {ms} ms", 30.0),
    ("INFO web.Request POST /orders 201 in {ms} ms", 8.0),
    ("INFO db.Pool connection {n} taken, {ms} ms waited", 12.0),
    ("DEBUG cache.Store hit for key item:{n}", 20.0),
    ("DEBUG cache.Store miss for key item:{n}", 5.0),
    ("WARN web.Request slow: GET /items/{n} took {ms}00 ms", 0.5),
    ("ERROR web.Request GET /items/{n} failed with 500", 0.2),
    ("INFO auth.Login user u{n} logged in from 10.1.0.{b}", 3.0),
)
WINDOW_FAULTS = ("failures", "burst of a usual line", "silence", "unseen lines", "slow")
WINDOW = 60  # seconds
Labels = NDArray[np.int64]


def session_log(n_sessions: int = 1_000, share: float = 0.03, seed: int = 0) -> tuple[list[str], dict[str, str]]:
    """Lines of a log of sessions, as of a distributed file system, and what is wrong with the odd ones, by name.

    Examples
    --------
    >>> lines, odd = session_log(100)
    >>> len(odd), next(iter(odd)).startswith("blk_"), lines[0][:15]
    (3, True, '2026-05-01 00:0')
    """
    rng = np.random.default_rng([seed, 0])
    odd = rng.choice(n_sessions, max(1, round(share * n_sessions)), replace=False).tolist()
    faults = {row: SESSION_FAULTS[place % len(SESSION_FAULTS)] for place, row in enumerate(odd)}
    found: list[tuple[float, str]] = []
    names = {}
    for row in range(n_sessions):
        name = f"blk_{rng.integers(-(2**62), 2**62)}"
        if row in faults:
            names[name] = faults[row]
        at = row * 2.0 + rng.exponential(5)
        for text in faulty(session(rng), faults.get(row, ""), rng):
            at += rng.exponential(3)
            found.append((at, filled(text, rng, name)))
    found.sort(key=lambda pair: pair[0])
    return [f"{stamp(at)} {text}" for at, text in found], names


def session(rng: np.random.Generator) -> list[str]:
    """Steps of a usual session: a block is written two or three times at once, then read, and perhaps deleted."""
    copies = 3 if rng.random() < 0.8 else 2
    ends = np.array([step for step in STEPS[2:] for _ in range(copies)])
    late = np.array([place for place in range(3) for _ in range(copies)]) + rng.uniform(0, 2, len(ends))
    read = [AFTER[1]] * int(rng.poisson(2)) + ([AFTER[0]] if rng.random() < 0.3 else [])
    deleted = AFTER[2:] if rng.random() < 0.6 else ()
    return [STEPS[1], *[STEPS[0]] * copies, *ends[np.argsort(late)].tolist(), *read, *deleted]


def faulty(steps: list[str], fault: str, rng: np.random.Generator) -> list[str]:
    """The same with a fault."""
    place = int(rng.integers(0, 9))
    if fault == "missing step":
        return [*steps[:place], *steps[place + 1 :]]
    if fault == "repeated step":
        return [*steps[:place], *[steps[place]] * 3, *steps[place + 1 :]]
    if fault == "another order":
        return [*steps[:1], *steps[6:9], *steps[1:6], *steps[9:]]
    if fault == "unseen line":
        return [*steps[:place], FAULTS[int(rng.integers(len(FAULTS)))], *steps[place:]]
    if fault == "burst":
        return [*steps, *[AFTER[1]] * 25]
    return steps


def filled(text: str, rng: np.random.Generator, name: str = "") -> str:
    """A line with values."""
    numbers = rng.integers(0, 250, 6).tolist()
    usual = rng.random() < 0.8
    values = {"id": name, "a": numbers[0], "b": numbers[1], "port": 30_000 + 50 * numbers[2], "job": numbers[3] % 40}
    values |= {"size": 67_108_864 if usual else int(rng.integers(10**6, 6 * 10**7)), "replica": numbers[5] % 3}
    return text.format(**values, part=f"{numbers[4]:05}")


def app_log(n_windows: int = 1_000, share: float = 0.03, seed: int = 0) -> tuple[list[str], dict[str, str]]:
    """Lines of an application's log, and what is wrong with the odd windows of a minute, by their start.

    Examples
    --------
    >>> lines, odd = app_log(100)
    >>> sorted(odd.values())
    ['burst of a usual line', 'failures', 'silence']
    """
    rng = np.random.default_rng([seed, 1])
    odd = rng.choice(np.arange(2, n_windows - 2), max(1, round(share * n_windows)), replace=False).tolist()
    faults = {row: WINDOW_FAULTS[place % len(WINDOW_FAULTS)] for place, row in enumerate(odd)}
    lines, names = [], {}
    for row in range(n_windows):
        fault = faults.get(row, "")
        load = 1 + 0.5 * np.sin(2 * np.pi * row / 360)  # a wave of six hours
        texts = [text for text, rate in USUAL for _ in range(rng.poisson(rate * load))]
        slow = 20.0 if fault == "slow" else 1.0
        if fault == "failures":
            texts += [USUAL[6][0]] * int(rng.integers(8, 20))
        elif fault == "burst of a usual line":
            texts += [USUAL[7][0]] * int(rng.integers(40, 80))
        elif fault == "silence":
            texts = texts[: len(texts) // 10]
        elif fault == "unseen lines":
            texts += ["FATAL db.Pool exhausted: {n} waiting"] * int(rng.integers(1, 4))
        if fault:
            names[stamp(row * WINDOW)[:19]] = fault
        for at in np.sort(rng.uniform(0, WINDOW, len(texts))).tolist():
            text = texts.pop(int(rng.integers(len(texts))))
            values = {"n": int(rng.integers(1, 5_000)), "b": int(rng.integers(1, 250))}
            values["ms"] = int(slow * rng.lognormal(3, 0.7)) + 1
            lines.append(f"{stamp(row * WINDOW + at)} {text.format(**values)}")
    return lines, names


def stamp(seconds: float) -> str:
    """A time so many seconds after the start."""
    return str(START + np.timedelta64(round(1000 * seconds), "ms")).replace("T", " ").replace(".", ",")


# ------------------------------------------------------------------------------------------------------ measuring

LOGS = ("sessions", "application")
WHILE_BUILDING, HELD_OUT = (0, 1, 2), (20, 21, 22)  # seeds that were looked at while the encoder was changed, or not
WAYS = {
    "default": "the default",
    "forest": "isolation forest on counts of templates",
    "our forest": "isolation forest on the default's columns",
}


def cells(logs: list[str], sizes: list[int], seeds: list[int]) -> Iterator[Row]:
    """Each log, size and seed."""
    yield from ({"log": log, "windows": n, "seed": seed} for log in logs for n in sizes for seed in seeds)


def made(log: str, n: int, seed: int) -> tuple[Logs, Labels]:
    """Windows of a made log, and which are odd."""
    if log == "sessions":
        lines, odd = session_log(n, seed=seed)
        logs = as_logs(lines, session="blk_")
        return logs, np.array([name in odd for name in logs.sessions or ()], dtype=np.int64)
    lines, odd = app_log(n, seed=seed)
    logs = as_logs(lines, window="1m")
    return logs, np.array([start[:19] in odd for start in logs.ids()["start"].to_pylist()], dtype=np.int64)


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Train each on a contaminated log without labels; rank it, and one that was written later."""
    first, labels = made(cell["log"], cell["windows"], cell["seed"])
    later, later_labels = made(cell["log"], cell["windows"], cell["seed"] + 1_000)
    for way in WAYS:
        started = time.perf_counter()
        scores = ours(first, later) if way == "default" else forest(way, first, later)
        seconds = time.perf_counter() - started
        for part, said, known in zip(("trained on", "later"), scores, (labels, later_labels), strict=True):
            found = {"auroc": float(roc_auc_score(known, said)), "ap": float(average_precision_score(known, said))}
            yield {"way": way, "part": part, "odd": int(known.sum()), "seconds": seconds, **found}


def ours(first: Logs, later: Logs) -> list[NDArray[np.float64]]:
    """Scores by the default."""
    detector = AnomalyDetector(random_state=0).fit(first)
    return [detector.training_scores_, detector.anomaly_score(later)]


def forest(way: str, first: Logs, later: Logs) -> list[NDArray[np.float64]]:
    """Scores by an isolation forest, on columns of ours, or on counts of the templates of training alone."""
    if way == "forest":
        matcher = Matcher(drain(first.entries.messages))
        counts = [events(logs, matcher) for logs in (first, later)]
    else:
        encoder = LogEncoder().fit(first)
        counts = [encoder.transform(logs).astype(np.float64) for logs in (first, later)]
    fitted = IsolationForest(random_state=0).fit(counts[0])
    return [-fitted.score_samples(some) for some in counts]


def events(logs: Logs, matcher: Matcher) -> NDArray[np.float64]:
    """How often each template occurs in each window; what matches none is left out."""
    numbers = np.array([matcher(message) for message in logs.entries.messages], dtype=np.int64) + 1
    found = np.zeros((len(logs), matcher.count + 1))
    for row, members in enumerate(logs.members):
        found[row] = np.bincount(numbers[logs.entries.codes[members]], minlength=found.shape[1])
    return found[:, 1:]


def context(page: Page) -> dict[str, Any]:
    """Means over seeds."""
    rows = page.rows("logs")
    lines = []
    for log in rows.each("log"):
        for part in ("trained on", "later"):
            for way, name in WAYS.items():
                some = rows.where(log=log, part=part, way=way)
                seen, new = (some.where(seed=seeds) for seeds in (WHILE_BUILDING, HELD_OUT))
                if not (seen and new):
                    continue
                cells = [f"{100 * float(np.mean(of.values(one))):.1f}" for of in (new, seen) for one in ("auroc", "ap")]
                lines.append([f"{log}, {part}", name, *cells, f"{float(np.mean(some.values('seconds'))):.1f}"])
    return {
        "table": table(["log", "", "AUROC, %", "AP, %", "seen seeds: AUROC, %", "AP, %", "seconds"], lines),
        "held_out": len(HELD_OUT),
        "seen": len(WHILE_BUILDING),
        "windows": sorted(rows.each("windows")),
        "odd": sorted(rows.each("odd")),
        "session_faults": SESSION_FAULTS,
        "window_faults": WINDOW_FAULTS,
        "day": rows.finished,
    }


STUDY = Study(
    "logs",
    "made logs with planted anomalies, by sessions and by windows, beside an isolation forest",
    cells=cells,
    measure=measure,
    options={"logs": list(LOGS), "sizes": [1_000], "seeds": [*WHILE_BUILDING, *HELD_OUT]},
    page="benchmark/logs.md",
    context=context,
)
