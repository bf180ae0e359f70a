"""When a line of a log was written: the timestamp near its beginning, in the forms that programs have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.files.moments import NOTHING, moments_of

Moments = NDArray[np.datetime64]

LOOKED_AT: Final = 2_000  # lines of a file by which the form is found
LEAST: Final = 0.1  # share of lines that have it: the others continue those before, as stack traces do
LEADING: Final = 3  # words that may stand before a timestamp: an address, a level, the name of a file
_DAY, _YEAR_BACK = np.timedelta64(1, "D"), np.timedelta64(180, "D")

_CLOCK: Final = r"(?P<H>[01]\d|2[0-3]):(?P<M>[0-5]\d):(?P<S>[0-5]\d)(?:[.,:](?P<f>\d{1,9}))?"
_ZONE: Final = r"(?: ?(?P<z>Z|UTC|GMT|[+-]\d{2}:?\d{2})(?![\w:]))?"
_TWELVE: Final = (
    r"(?P<H>0?[1-9]|1[0-2]):(?P<M>[0-5]\d):(?P<S>[0-5]\d)(?:[.,:](?P<f>\d{1,9}))?[ \u202f]?(?P<p>[AaPp])[Mm]\b"
)
_MONTH: Final = r"(?P<m>0[1-9]|1[0-2])"
_NAME: Final = r"(?P<n>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_D: Final = r"(?P<d>0[1-9]|[12]\d|3[01])"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBER: Final = {name: f"{place:02}" for place, name in enumerate(_MONTHS, 1)}
_FORMS: Final[dict[str, str]] = {
    "2026-05-01 12:30:00": rf"(?P<y>\d{{4}})(?P<s>[-/.]){_MONTH}(?P=s){_D}[T _-]{_CLOCK}{_ZONE}",
    "20260501-12:30:00": rf"(?P<y>\d{{4}}){_MONTH}{_D}[-T _]?(?P<H>[01]\d|2[0-3]):?(?P<M>[0-5]\d):?(?P<S>[0-5]\d)"
    rf"(?:[.,:](?P<f>\d{{1,9}}))?{_ZONE}",
    "2026-05-01-12.30.00": rf"(?P<y>\d{{4}})-{_MONTH}-{_D}-(?P<H>[01]\d|2[0-3])\.(?P<M>[0-5]\d)\.(?P<S>[0-5]\d)"
    r"(?:\.(?P<f>\d{1,9}))?",
    "2026-05-01 12:30": rf"(?P<y>\d{{4}})(?P<s>[-/.]){_MONTH}(?P=s){_D}[T ]"
    r"(?P<H>[01]\d|2[0-3]):(?P<M>[0-5]\d)(?![\d:])",
    "01/May/2026:12:30:00": rf"{_D}(?P<s>[-/]){_NAME}(?P=s)(?P<y>\d{{4}})[: ]{_CLOCK}{_ZONE}",
    "Fri, 01 May 2026 12:30:00": rf"(?:[A-Z][a-z]{{2}},? )?(?P<d>[ \d]?\d) {_NAME} (?P<y>\d{{4}}),? {_CLOCK}{_ZONE}",
    "5/1/2026 1:30:00 PM": rf"(?P<m>0?[1-9]|1[0-2])/(?P<d>0?[1-9]|[12]\d|3[01])/(?P<y>\d{{4}}),? {_TWELVE}",
    "May 1, 2026 1:30:00 PM": rf"(?:[A-Z][a-z]{{2}},? )?{_NAME} (?P<d>[ \d]?\d),? (?P<y>\d{{4}}),? {_TWELVE}",
    "Fri May 01 12:30:00 2026": rf"(?:[A-Z][a-z]{{2}} )?{_NAME} (?P<d>[ \d]?\d),? {_CLOCK},? (?P<y>\d{{4}})(?!\d)",
    "May  1 12:30:00": rf"{_NAME} (?P<d>[ \d]?\d) {_CLOCK}",
    "26/05/01 12:30:00": rf"(?P<y>\d\d)/{_MONTH}/{_D} {_CLOCK}",
    "01.05.2026 12:30:00": rf"{_D}\.{_MONTH}\.(?P<y>\d{{4}})[ ,T]+{_CLOCK}{_ZONE}",
    "05/01/2026 12:30:00": rf"{_MONTH}/{_D}/(?P<y>\d{{4}})[ ,T]+{_CLOCK}{_ZONE}",
    "01/05/2026 12:30:00": rf"{_D}/{_MONTH}/(?P<y>\d{{4}})[ ,T]+{_CLOCK}{_ZONE}",
    "260501 123000": rf"(?P<y>\d\d){_MONTH}{_D} (?P<H>[01]\d|2[0-3])(?P<M>[0-5]\d)(?P<S>[0-5]\d)(?= )",
    "05-01 12:30:00.000": rf"{_MONTH}-{_D} {_CLOCK}",
    "I0501 12:30:00.000000": rf"(?P<kept>[IWEF]){_MONTH}{_D} {_CLOCK}",
    "1777638600": r"(?P<e>[12]\d{9}(?:[.,]\d{1,9}|\d{3}|\d{6})?)(?![\w.])",
    "[ 12.345678]": r"(?<=\[) *(?P<e>\d+\.\d{6})(?=\])",
    "12:30:00": _CLOCK,
}  # fmt: skip
_BARE: Final = ("05-01 12:30:00.000", "I0501 12:30:00.000000", "[ 12.345678]", "12:30:00")  # only where a line begins
_JSON: Final = (
    r"\{.{0,1000}?[\"](?:@?timestamp|time|ts|date|asctime|__REALTIME_TIMESTAMP)[\"]: ?[\"]?"  # wherever that stands
)
_OPENING: Final = r"(?:<\d{1,3}>(?:\d )?)?\W{0,3}?(?:(?:time|ts|timestamp|@timestamp)[\"']?[=:] ?[\"']?)?"
_CLOSING: Final = re.compile(r"""["']?[\])>,;|-]*\s*(?:- )?""")


class Form(NamedTuple):
    """How the lines of a file say when they were written, and what finds it."""

    example: str
    pattern: re.Pattern[str]

    @property
    def names_year(self) -> bool:
        """Whether the year stands in the lines, or cannot be wanted."""
        return bool({"y", "e"} & self.pattern.groupindex.keys()) or not self.names_day

    @property
    def names_day(self) -> bool:
        """Whether the day does."""
        return bool({"d", "e"} & self.pattern.groupindex.keys())


def _forms() -> list[Form]:
    """All forms, those first that stand nearer to the beginning of a line."""
    found = []
    for leading in range(LEADING + 1):
        for example, form in _FORMS.items():
            if leading and (example in _BARE or (leading > 1 and example == "1777638600")):
                continue
            found.append(Form(example, re.compile(rf"(?P<before>(?:\S+ ){{{leading}}}){_OPENING}{form}")))
    for example, form in _FORMS.items():
        if example not in _BARE:
            found.append(Form(example, re.compile(rf"(?P<before>{_JSON}){form}")))
    return found


_ALL: Final = _forms()


def find_form(lines: Sequence[str]) -> Form | None:
    """The form of timestamp that most lines have, the one nearest to their beginning; None where few have any.

    Examples
    --------
    >>> find_form(["2026-05-01 12:30:00,123 INFO up", "    at line 4"]).example
    '2026-05-01 12:30:00'
    >>> find_form(['1.2.3.4 - bob [10/Oct/2025:13:55:36 -0700] "GET / HTTP/1.0" 200 5']).example
    '01/May/2026:12:30:00'
    >>> find_form(["no time here"]) is None
    True
    """
    some = [line for line in lines[:LOOKED_AT] if line.strip()]
    counts = [sum(form.pattern.match(line) is not None for line in some) for form in _ALL]
    most = max(counts, default=0)
    return _ALL[counts.index(most)] if some and most >= LEAST * len(some) else None


def read_stamps(lines: Sequence[str], form: Form, last: np.datetime64) -> tuple[Moments, list[str]]:
    """When each line was written, ``datetime64[us]`` in UTC, NaT where it does not say, and the line without that.

    Parameters
    ----------
    lines : sequence of str
    form : Form
    last : datetime64
        When the file was written last: of lines that name no year, or no day, the last one is of that year or day.

    Examples
    --------
    >>> lines = ["Dec 31 23:59:59 here sshd[7]: in", "Jan  1 00:00:01 here sshd[7]: out", "what?"]
    >>> moments, rests = read_stamps(lines, find_form(lines), np.datetime64("2026-02-01"))
    >>> moments.astype("datetime64[s]").astype(str).tolist(), rests[1]
    (['2025-12-31T23:59:59', '2026-01-01T00:00:01', 'NaT'], 'here sshd[7]: out')
    """
    moments, rests = stamped(lines, form)
    return settled(moments, form, last), rests


def stamped(lines: Sequence[str], form: Form) -> tuple[Moments, list[str]]:
    """Likewise, of some lines of a file: moments without a year or a day are of any, until `settled` has seen all."""
    found = [form.pattern.match(line) for line in lines]
    rests = [line if match is None else _rest(line, match) for line, match in zip(lines, found, strict=True)]
    if "e" in form.pattern.groupindex:
        return np.array([NOTHING if match is None else _epoch(match["e"]) for match in found]), rests
    parts = [None if match is None else match.groupdict() for match in found]
    moments = moments_of([None if part is None else _written(part) for part in parts], "ymd")
    ahead = [0 if part is None or not part.get("z") else _ahead(part["z"]) for part in parts]
    return moments - np.array(ahead, dtype="timedelta64[m]"), rests


def settled(moments: Moments, form: Form, last: np.datetime64) -> Moments:
    """All moments of a file, of the year and the day that they must be of."""
    if not form.names_day:
        return _unwound(moments, _DAY / 2, _DAY, last)
    if form.names_year:
        return moments
    return _in_years(_unwound(moments, _YEAR_BACK, np.timedelta64(366, "D"), last), last)


def _rest(line: str, match: re.Match[str]) -> str:
    """A line without its timestamp; what stood before it, an address or a level, stays."""
    kept = match.groupdict().get("kept") or ""
    before = match["before"].rstrip()
    after = _CLOSING.sub("", line[match.end() :], count=1)
    return " ".join(part for part in (before, kept, after) if part)


def _epoch(text: str) -> np.datetime64:
    whole, _, fraction = text.replace(",", ".").partition(".")
    scale = 10 ** max(0, len(whole) - 10) if len(whole) in (13, 16) else 1
    micro = int(whole) * 1_000_000 // scale + int((fraction + "000000")[:6])
    return np.datetime64(micro, "us")


_LEAP: Final = "2000"  # has every day that a line without a year may name


def _written(part: dict[str, Any]) -> str:
    """A timestamp as ISO has it, without its zone."""
    year = part.get("y") or _LEAP
    month = (part.get("m") or _NUMBER.get(part.get("n") or "", "01")).zfill(2)
    day = (part.get("d") or "1").strip().zfill(2)
    hour = int(part["H"])
    if part.get("p"):
        hour = hour % 12 + 12 * (part["p"] in "pP")
    seconds = f"{hour:02}:{part['M']}:{part.get('S') or '00'}.{(part.get('f') or '0')[:6]}"
    return f"{'20' if len(year) == 2 else ''}{year}-{month}-{day} {seconds}"


def _ahead(zone: str) -> int:
    """Minutes by which the clocks of a zone are ahead of UTC."""
    if zone in ("Z", "UTC", "GMT"):
        return 0
    minutes = 60 * int(zone[1:3]) + int(zone[-2:])
    return minutes if zone[0] == "+" else -minutes


def _unwound(moments: Moments, back: np.timedelta64, step: np.timedelta64, last: np.datetime64) -> Moments:
    """Moments that start over, at midnight or New Year, as ones that go on."""
    there = ~np.isnat(moments)
    times = moments[there]
    turns = np.concatenate([[0], np.cumsum(np.diff(times) < -back)]) if len(times) else np.zeros(0, dtype=np.int64)
    found = moments.copy()
    turned = times + turns * step
    if step == _DAY and len(times):  # the last one is of the day when the file was written
        turned = turned + (last.astype("datetime64[D]") - turned[-1].astype("datetime64[D]"))
    found[there] = turned
    return found


def _in_years(moments: Moments, last: np.datetime64) -> Moments:
    """Moments of the year 2000 and after as ones of which the last is no later than the file, by month and day."""
    there = ~np.isnat(moments)
    if not there.any():
        return moments
    times = moments[there]
    # a turn added 366 days, which the leap year has: month and day are still right
    years = times.astype("datetime64[Y]")
    shift = last.astype("datetime64[Y]") - years.max()
    final = _moved(times[-1:], shift)[0]
    if final > last + _DAY:  # a day for other zones
        shift = shift - np.timedelta64(1, "Y")
    found = moments.copy()
    found[there] = _moved(times, shift)
    return found


def _moved(times: Moments, shift: np.timedelta64) -> Moments:
    """The same month, day and time in another year."""
    months = times.astype("datetime64[M]")
    year = np.timedelta64(int(shift.astype(np.int64)) * 12, "M")
    moved: Moments = (months + year).astype("datetime64[us]") + (times - months)
    return moved
