"""The one thread that scores: concurrent requests of samples that are judged alone are scored together.

Of other requests one step after the other is made, so that a long one does not keep the short ones waiting. What is
wrong with the data of one request is that request's affair.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from expose.errors import InputError, MissingExtraError
from expose.explain.reasons import check_explainable, reason_columns, reasons_in_turn
from expose.files import with_ids
from expose.kinds.base import Batch
from expose.serve.intake import Sent, Taken, check_size, taken
from expose.serve.limits import Limits
from expose.serve.models import Log, Models, Served
from expose.serve.notes import Notes
from expose.serve.places import Folders
from expose.serve.problems import BUG, Problem, too_large

Columns = dict[str, Any]
Going = Generator[None, Columns | None, None]

NESTED: Final = "values are nested too deeply; expected numbers, texts, true, false or null."
_UNREADABLE: Final = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, pa.ArrowException, OSError)


class Answer(NamedTuple):
    """Scores of a request: an Arrow table, what is to be said of the data, and the model that gave them."""

    table: Any
    notes: list[str]
    served: Served
    body: bytes = b""


@dataclass(eq=False)
class Job:
    """A request on its way.

    Attributes
    ----------
    sent : Sent
    reasons : int
        How many are to be given of each sample.
    ends : float
        Until when it has to be answered, in seconds of `time.monotonic`.
    written : callable
        Makes the bytes of an answer.
    """

    sent: Sent
    reasons: int
    ends: float
    written: Callable[[Answer], bytes]
    future: Future[Answer] = field(default_factory=Future)
    notes: Notes = field(default_factory=Notes)
    abandoned: bool = False

    @property
    def is_late(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.abandoned or self.future.cancelled() or time.monotonic() > self.ends


class Read(NamedTuple):
    """A request whose samples are few, and judged alone."""

    job: Job
    taken: Taken
    batch: Batch


class Worker:
    """Scores requests, one step after the other.

    Parameters
    ----------
    models : Models
    limits : Limits
    folders : Folders
        For what requests bring.
    log : callable
    told : callable
        What is called with the rows and requests of each batch.
    """

    def __init__(
        self, models: Models, limits: Limits, folders: Folders, log: Log, told: Callable[[int, int], None] | None = None
    ) -> None:
        self.models, self.limits, self.folders, self.log = models, limits, folders, log
        self.told = told or (lambda rows, requests: None)
        self.coming = 0  # requests that are being received: a batch waits for them a little
        self.unfinished = 0
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    # -------------------------------------------------------------------------------------------- from outside

    def submit(self, job: Job) -> Future[Answer]:
        """Let a request be scored."""
        with self._lock:
            self.unfinished += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="expose-scores", daemon=True)
                self._thread.start()
        job.future.add_done_callback(self._count)
        self._queue.put(job)
        return job.future

    def _count(self, future: Future[Answer]) -> None:
        with self._lock:
            self.unfinished -= 1

    @property
    def alive(self) -> bool:
        """Whether requests are scored."""
        return self._thread is None or self._thread.is_alive()

    def stop(self) -> None:
        """Score what was submitted, and end."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    # ----------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        long: deque[Going] = deque()
        stopped = False
        while not stopped or long:
            jobs, stopped = self._arrived(block=not long and not stopped, stopped=stopped)
            try:
                long += self._begun(jobs)
            except Exception as error:  # this thread lives as long as the service
                self._give_up(jobs, error)
            if long:
                steps = long.popleft()
                if next(steps, self) is None:  # it goes on
                    long.append(steps)

    def _arrived(self, *, block: bool, stopped: bool) -> tuple[list[Job], bool]:
        """Requests that came, as many as are scored together; and whether the end was asked for."""
        jobs: list[Job] = []
        until: float | None = None
        while len(jobs) < self.limits.together:
            try:
                job = self._queue.get(block=block and not jobs, timeout=None)
            except queue.Empty:
                until = until or time.monotonic() + self.limits.gather
                wait = until - time.monotonic()
                if not (jobs and self.coming > 0 and wait > 0):
                    break
                try:
                    job = self._queue.get(timeout=min(wait, 0.0005))
                except queue.Empty:
                    continue
            if job is None:
                return jobs, True
            if job.is_late:
                job.sent.close()
                job.future.cancel()
            elif job.future.set_running_or_notify_cancel():
                jobs.append(job)
        return jobs, stopped

    def _begun(self, jobs: Sequence[Job]) -> list[Going]:
        """Score together what can be; the others as what is to be gone on with."""
        if not jobs:
            return []
        served = self.models.current
        alone = served.scorer.fitted.kind.alone
        short: list[tuple[Read, Going]] = []
        long: list[Going] = []
        for job in jobs:
            steps = Steps(served, job, self.limits, self.folders)
            run = self._safe(job, steps.run())
            first = steps.read if next(run, self) is None else None
            if first is None:
                continue
            if alone and not job.reasons and steps.is_whole and len(first.batch.samples) <= self.limits.together:
                short.append((first, run))
            else:
                self.told(len(first.batch.samples), 1)
                long.append(run)
        some: list[tuple[Read, Going]] = []
        for one in [*short, None]:
            if one is None or sum(len(each.batch.samples) for each, _ in [*some, one]) > self.limits.together:
                self._together(served, some)
                some = []
            if one is not None:
                some.append(one)
        return long

    def _together(self, served: Served, some: Sequence[tuple[Read, Going]]) -> None:
        """Score several requests at once; where that does not work, each by itself."""
        if not some:
            return
        self.told(sum(len(one.batch.samples) for one, _ in some), len(some))
        columns = joined(served, [one for one, _ in some]) if len(some) > 1 else None
        for place, (_, steps) in enumerate(some):
            if columns is not None:
                with suppress(StopIteration):
                    steps.send(columns[place])
            for _ in steps:
                pass

    def _safe(self, job: Job, steps: Generator[None, Columns | None, Answer]) -> Going:
        """Steps whose failure is the answer of their request, and nobody else's."""
        given: Columns | None = None
        try:
            with closing(steps):
                while True:
                    with job.notes.caught():
                        try:
                            steps.send(given)
                        except StopIteration as done:
                            answer: Answer = done.value
                            break
                    given = yield
                    if job.is_late:
                        raise Problem(504, "the time for this request is over.")
            job.future.set_result(answer._replace(body=job.written(answer)))
        except Exception as error:
            job.future.set_exception(self._said(error))
        finally:
            job.sent.close()

    def _give_up(self, jobs: Sequence[Job], error: Exception) -> None:
        with suppress(Exception):
            self.log("scoring failed", level="error", error=type(error).__name__, where=where(error))
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(Problem(500, BUG))

    def _said(self, error: Exception) -> Exception:
        try:
            return self._problem(error)
        except Exception:  # of the log
            return Problem(500, BUG)

    def _problem(self, error: Exception) -> Exception:
        """What is said of a failure: of data that cannot be used why, of all else nothing."""
        if isinstance(error, Problem):
            return error
        if isinstance(error, InputError | RecursionError):
            return Problem(422, NESTED if isinstance(error, RecursionError) else str(error))
        if isinstance(error, MissingExtraError):
            return Problem(501, str(error))
        if isinstance(error, MemoryError):
            return too_large("the request needs more memory than there is", self.limits.rows, "Send it in parts.")
        self.log("scoring failed", level="error", error=type(error).__name__, where=where(error))
        data = isinstance(error, _UNREADABLE)
        return Problem(422, f"the data cannot be used: {type(error).__name__}: {error}") if data else Problem(500, BUG)


class Steps:
    """What is done for one request, step by step.

    Attributes
    ----------
    read : Read or None
        Its first samples, after the first step.
    is_whole : bool
        Whether these are all.
    """

    def __init__(self, served: Served, job: Job, limits: Limits, folders: Folders) -> None:
        self.served, self.job, self.limits, self.folders = served, job, limits, folders
        self.read: Read | None = None
        self.is_whole = False

    def run(self) -> Generator[None, Columns | None, Answer]:
        """Read, score, explain; between two steps others may have their turn.

        After the first step it can be sent the columns of all samples, which were scored elsewhere.
        """
        scorer, job = self.served.scorer, self.job
        fitted = scorer.fitted
        if job.reasons:
            check_explainable(fitted, "reasons")
        with taken(job.sent, fitted.kind, scorer.reading, self.limits, self.folders) as files:
            try:
                tables = yield from self._tables(files)
            except InputError as error:
                raise InputError(files.unnamed(str(error))) from error
            notes = [files.unnamed(text) for text in job.notes.texts]
        whole = pa.concat_tables(tables, promote_options="permissive") if len(tables) > 1 else tables[0]
        return Answer(whole, notes, self.served)

    def _tables(self, files: Taken) -> Generator[None, Columns | None, list[Any]]:
        scorer, job = self.served.scorer, self.job
        batches = iter(scorer.fitted.kind.scan(files.sources, files.reading))
        batch, tables = next(batches, None), list[Any]()
        if batch is None:
            raise Problem(422, f"there is no {scorer.fitted.kind.noun} in the body.")
        total = check_size(batch.samples, 0, self.limits)
        while batch is not None:
            following = next(batches, None)
            if following is not None:  # looked at before any is scored, which takes longer
                total = check_size(following.samples, total, self.limits)
            self.read, self.is_whole = Read(job, files, batch), not tables and following is None
            columns = yield
            given = None
            if columns is None:
                given = scorer.encoded(batch.samples)
                columns = scorer.columns(given)
            if job.reasons and given is not None:
                yield
                reasons = []
                for some in reasons_in_turn(scorer, given, job.reasons):
                    reasons += some
                    yield
                columns |= reason_columns(reasons, job.reasons, len(reasons))
            tables.append(with_ids(batch.ids, columns))
            batch = following
        return tables


def joined(served: Served, several: Sequence[Read]) -> list[Columns | None] | None:
    """What the model says of the samples of several requests, computed together; None of what has to be done alone.

    Tables of the same columns are one table, if there is nothing to be said of it. Else each is encoded by itself.
    """
    columns = joined_tables(served, several)
    return joined_parts(served, several) if columns is None else columns


def joined_tables(served: Served, several: Sequence[Read]) -> list[Columns | None] | None:
    """The same of tables that can be one."""
    tables = [one.batch.samples for one in several]
    if not all(isinstance(one, pa.Table) and one.schema.equals(tables[0].schema, True) for one in tables):
        return None
    notes = Notes()
    try:
        with notes.caught():
            columns = served.scorer.columns(pa.concat_tables(tables))
    except Exception:  # one of them is to blame, and will be told
        return None
    return None if notes else cut(columns, [len(one) for one in tables])


def joined_parts(served: Served, several: Sequence[Read]) -> list[Columns | None] | None:
    """The same of what is encoded one by one."""
    scorer, notes = served.scorer, [Notes() for _ in several]
    parts: list[Any] = []
    for one, own in zip(several, notes, strict=True):
        try:
            with own.caught():
                parts.append(scorer.encoded(one.batch.samples).parts)
        except Exception:
            parts.append(None)
    good = [one for one in parts if one is not None]
    if len(good) < 2:
        return None
    try:
        together = scorer.fitted.outputs(np.concatenate(good))
        columns = scorer.named(scorer.fitted.decide(together, scorer.threshold))
    except Exception:
        return None
    for one, own, part in zip(several, notes, parts, strict=True):
        if part is not None:
            one.job.notes.take(own)
    found = iter(cut(columns, [len(one) for one in good]))
    return [None if one is None else next(found) for one in parts]


def cut(columns: Columns, lengths: Sequence[int]) -> list[Columns | None]:
    """Columns of several, of each its own."""
    ends = np.cumsum(lengths).tolist()
    return [
        {name: values[end - length : end] for name, values in columns.items()}
        for end, length in zip(ends, lengths, strict=True)
    ]


def where(error: BaseException) -> list[str]:
    """Files and lines that a failure went through, without its message, which may hold data."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames]
