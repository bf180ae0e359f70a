"""``expose score MODEL - --out -``: rows scored as they come, a line in, a line out, for as long as they come."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from expose.cli.session import Session
from expose.cli.sources import check_output
from expose.cli.summary import Tally, by_threshold, drift_of, summarise
from expose.cli.text import count
from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from expose import Scorer
    from expose.decide import Alarm, Drift
    from expose.files.arriving import Incoming
    from expose.scoring import Live

EVERY: Final = 60.0  # seconds between two states, and between two times that the same is told
PIECE, MOST = 2**16, 2**20  # bytes read at once, and of what is scored together where much has come
COUNTED: Final = 1_000  # rows after which the highest are looked for
DRIFT_BEGINS: Final = (
    "drift begins: after {rows} with a score, {noun}s no longer score as in training; see what has changed"
)
DRIFT_ENDS: Final = "drift ends: after {rows} with a score, {noun}s score as in training again"
NOT_LIVE: Final = "--state and --delay are for rows that are scored as they come: expose score MODEL - --out -"


def begun(stream: Any) -> bytes:
    """What a stream begins with, once there is something; it can be read again."""
    if hasattr(stream, "peek"):
        found: bytes = stream.peek(1)
        return found
    place = stream.tell()
    found = stream.read1(PIECE)
    stream.seek(place)
    return found


def why_not_live(scorer: Scorer) -> str:
    """Why rows of standard input have to be read to the end before they are scored; empty if they need not."""
    from expose.files.arriving import why_not

    kind = scorer.fitted.kind
    if kind.arriving(scorer.reading) is None:
        return f"{kind.plural} are not scored as they come"
    try:
        scorer.live()
    except InputError as error:
        return str(error)
    return why_not(begun(sys.stdin.buffer), scorer.reading.dialect)


def score_live(
    session: Session, scorer: Scorer, state: str | None, delay: int | None, *, spreadsheet_safe: bool
) -> None:
    """Score what comes on standard input until it ends, or until the process is asked to stop."""
    started = time.perf_counter()
    stream = Stream(session, scorer, state, delay, spreadsheet_safe=spreadsheet_safe)
    session.tell_at_once()
    stream.say_rule()
    with Stop() as stop:
        try:
            for data in stop.pieces(sys.stdin.buffer):
                stream.take(data)
            stream.finish(stopped=stop.asked is not None)
        finally:
            stream.save()
    summarise(session, scorer, stream.counted(), by_threshold(scorer), "-", time.perf_counter() - started)
    session.moved |= stream.alarm.on
    if stop.asked == signal.SIGINT:
        session.when_interrupted = "every row that had come is answered."
        raise KeyboardInterrupt


class Stop:
    """Lets what came be answered before a process ends: a first SIGTERM or SIGINT asks, a second one ends it."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self._waits = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for one in (signal.SIGTERM, signal.SIGINT):
                self._before[one] = signal.signal(one, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one, before in self._before.items():
            signal.signal(one, before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            raise SystemExit(128 + number)
        self.asked = number
        if self._waits:
            raise InterruptedError

    def pieces(self, stream: Any) -> Iterator[bytes]:
        """What comes, as soon as it does; nothing, from time to time, where nothing comes."""
        looked_at = True  # `begun` has waited for the first bytes, which lie where nobody can wait for them
        while self.asked is None:
            if not looked_at and not self._ready(stream, EVERY):
                yield b""
                continue
            looked_at = False
            piece = data = stream.read1(PIECE)
            while piece and len(data) < MOST and self._ready(stream, 0):
                piece = stream.read1(PIECE)
                data += piece
            yield data
            if not piece:
                return

    def _ready(self, stream: Any, seconds: float) -> bool:
        """Whether something can be read, or the stream has ended; waits for so long. A signal ends the waiting."""
        if os.name != "posix" or not _has_number(stream):
            return seconds > 0
        try:
            self._waits = True
            return self.asked is None and bool(select.select([stream], [], [], seconds)[0])
        except InterruptedError:
            return False
        finally:
            self._waits = False


class Stream:
    """Lines in, lines out: what came is read, scored and answered, and the state is kept.

    Parameters
    ----------
    session : Session
    scorer : Scorer
    state : str or None
        File of the state.
    delay : int or None
    spreadsheet_safe : bool
    """

    def __init__(
        self, session: Session, scorer: Scorer, state: str | None, delay: int | None, *, spreadsheet_safe: bool
    ) -> None:
        from expose.files.arriving import as_lines

        self.session, self.scorer = session, scorer
        self.state = None if state is None else Path(state)
        self.live, kept = self._live(delay)
        self.resumed = bool(kept)
        self._lines = partial(as_lines, spreadsheet_safe=spreadsheet_safe)
        self._answered, self._begun = bool(kept.get("answered")), str(kept.get("begun", "")).encode("latin-1")
        self._ids: tuple[str, ...] = ()
        self.incoming = self._incoming(str(kept.get("head", "")))
        drift = drift_of(scorer, self.live.tolerance)
        self.tally, self.alarm = Tally(drift=drift), self._alarm(drift, kept.get("alarm"))
        self._uncounted: list[pa.Table] = []
        self._saved, self._changed = time.monotonic(), True
        self.save()

    def _live(self, delay: int | None) -> tuple[Live, dict[str, Any]]:
        from expose.scoring import Live

        if self.state is not None:
            check_output(self.state, (), "--state")
        if self.state is None or not self.state.exists():
            return self.scorer.live(delay or 0), {}
        live, kept = Live.restored(self.state, self.scorer)
        if delay is not None and delay != live.delay:
            raise InputError(
                f"--delay {delay}: the state {self.state} was written with --delay {live.delay}. Say the same, or "
                "delete the state."
            )
        return live, kept

    def _alarm(self, drift: Drift, kept: dict[str, Any] | None) -> Alarm:
        from expose.decide import Alarm

        alarm = Alarm(drift)
        if kept is not None:
            try:
                alarm.restore(kept)
            except InputError:  # of the same model: the live state has said so
                self.session.say("Drift           is watched anew, as the threshold is another one")
        return alarm

    def _incoming(self, head: str) -> Incoming:
        from expose.files.arriving import Incoming

        fitted, reading = self.scorer.fitted, self.scorer.reading
        lines = fitted.kind.arriving(reading) == "lines"
        return Incoming(reading.dialect, self._check, fitted.columns, lines=lines, head=head)

    def _check(self, names: Sequence[str]) -> None:
        import pyarrow as pa

        self._ids = self.live.check(pa.schema([(name, pa.string()) for name in names]))

    def say_rule(self) -> None:
        """Tell how rows are scored."""
        self.session.say(f"Live            {self.live.rule}")
        if self.resumed:
            self.session.say(f"                goes on after {self.live.taken:,} rows, by {self.state}")

    # ---------------------------------------------------------------------------------------------- in and out

    def take(self, data: bytes) -> None:
        """Answer the lines that came; keep the state where it is time to."""
        if data and self._begun:
            anew = self.incoming.starts_anew(data)
            data, self._begun = (b"" if anew else self._begun) + data, b""
        if data:
            self._answer(self.incoming.take(data))
        if time.monotonic() - self._saved >= EVERY:
            self.save()
            self.session.tell_counts()

    def finish(self, *, stopped: bool) -> None:
        """Answer what is left. Rows that wait are kept in the state, if there is one."""
        if not stopped:
            self._answer(self.incoming.take(b"", end=True))
            if not self.resumed and not self.live.taken:
                self._refuse_nothing()
        if self.state is None:
            self._write([self.live.rest()])
        elif self.live.waiting:
            self.session.say(f"{self.live.waiting:,} row(s) wait in {self.state} for later ones, and have no score yet")

    def _refuse_nothing(self) -> None:
        what = "there are column names, but no row below them" if self.incoming.names else "the file is empty"
        raise InputError(f"standard input: {what}. Expected a header line and one line per row.")

    def _answer(self, pieces: Iterator[Any]) -> None:
        from expose.files.arriving import Unreadable

        tables = []
        for piece in pieces:
            self._changed = True
            if isinstance(piece, Unreadable):
                answer = self.live.unreadable(piece.reason, piece.line, self._ids)
                if self.incoming.names:  # before the header it is not known yet which columns an answer has
                    tables.append(answer)
            else:
                tables.append(self.live.score(piece))
        self._write(tables)

    def _write(self, tables: Sequence[pa.Table]) -> None:
        import pyarrow as pa

        some = [one for one in tables if len(one)]
        if not some:
            return
        table = pa.concat_tables(some, promote_options="permissive") if len(some) > 1 else some[0]
        form = "json" if self.incoming.form == "json" else "csv"
        sys.stdout.buffer.write(self._lines(table, form, header=not self._answered))
        sys.stdout.buffer.flush()
        self._answered = True
        self._uncounted.append(table)
        self._watch(table)
        if sum(map(len, self._uncounted)) >= COUNTED:
            self.counted()

    def _watch(self, table: pa.Table) -> None:
        """Tell when drift begins, and when it ends."""
        noun = self.scorer.fitted.kind.noun
        for verdict, row in self.alarm.add(table["anomaly_score"].to_numpy()):
            said = DRIFT_BEGINS if verdict == "moved" else DRIFT_ENDS
            self.session.tell(said.format(rows=count(row, noun), noun=noun))

    def counted(self) -> Tally:
        """How many rows were flagged so far, and the highest."""
        import pyarrow as pa

        if self._uncounted:
            self.tally.add(pa.concat_tables(self._uncounted, promote_options="permissive"))
            self._uncounted = []
        return self.tally

    def save(self) -> None:
        """Write the state, if there is one and something came since."""
        if self.state is None or not self._changed:
            return
        begun = (self._begun + self.incoming.begun).decode("latin-1")
        self.live.save(
            self.state, head=self.incoming.kept_head, begun=begun, answered=self._answered, alarm=self.alarm.state()
        )
        self._saved, self._changed = time.monotonic(), False


def _has_number(stream: Any) -> bool:
    """Whether the system knows the stream by a number, so that one can wait for it."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        return int(stream.fileno()) >= 0
    return False
