"""Timestamps of log lines, in the forms that programs have."""

from __future__ import annotations

import numpy as np
import pytest

from expose.files.stamps import find_form, read_stamps

LAST = np.datetime64("2026-06-15T10:00:00", "us")
FORMS = [
    ("2026-05-01 12:30:07,250 INFO up", "2026-05-01T12:30:07.250", "INFO up"),
    ("2026-05-01T12:30:07.250123456Z up", "2026-05-01T12:30:07.250", "up"),
    ("[2026-05-01T14:30:07+02:00] up", "2026-05-01T12:30:07.000", "up"),
    ("2026/05/01 12:30:07 up", "2026-05-01T12:30:07.000", "up"),
    ("time=2026-05-01T12:30:07Z level=info", "2026-05-01T12:30:07.000", "level=info"),
    ("<165>1 2026-05-01T12:30:07.003Z host app", "2026-05-01T12:30:07.003", "host app"),
    ("20260501-12:30:07:606|Step|7", "2026-05-01T12:30:07.606", "Step|7"),
    ("May  1 12:30:07 host sshd[7]: in", "2026-05-01T12:30:07.000", "host sshd[7]: in"),
    ("[Fri May 01 12:30:07 2026] [notice] up", "2026-05-01T12:30:07.000", "[notice] up"),
    ('1.2.3.4 - bob [01/May/2026:05:30:07 -0700] "GET /"', "2026-05-01T12:30:07.000", '1.2.3.4 - bob "GET /"'),
    ("26/05/01 12:30:07 INFO up", "2026-05-01T12:30:07.000", "INFO up"),
    ("260501 123007 143 INFO up", "2026-05-01T12:30:07.000", "143 INFO up"),
    ("01.05.2026 12:30:07 up", "2026-05-01T12:30:07.000", "up"),
    ("31/05/2026 12:30:07 up", "2026-05-31T12:30:07.000", "up"),
    ("05-01 12:30:07.250  1702 D Power", "2026-05-01T12:30:07.250", "1702 D Power"),
    ("I0501 12:30:07.250000 1 file.go:12] up", "2026-05-01T12:30:07.250", "I 1 file.go:12] up"),
    ("1777638607 up", "2026-05-01T12:30:07.000", "up"),
    ("1777638607250 up", "2026-05-01T12:30:07.250", "up"),
    ("- 1777638607 2026.05.01 R02 up", "2026-05-01T12:30:07.000", "2026.05.01 R02 up"),
    ("5/1/2026 1:30:07 PM up", "2026-05-01T13:30:07.000", "up"),
    ("05/31/2026, 12:30:07 AM up", "2026-05-31T00:30:07.000", "up"),
    ("May 1, 2026 12:30:07 PM org.apache.x", "2026-05-01T12:30:07.000", "org.apache.x"),
    ("01-May-2026 12:30:07.250 INFO [main] up", "2026-05-01T12:30:07.250", "INFO [main] up"),
    ("Fri, 01 May 2026 12:30:07 GMT up", "2026-05-01T12:30:07.000", "up"),
    ("2026-05-01 12:30 up", "2026-05-01T12:30:00.000", "up"),
    ('{"level":30,"time":1777638607250,"msg":"up"}', "2026-05-01T12:30:07.250", '{"level":30,"time": "msg":"up"}'),
    ('{"msg":"up","timestamp":"2026-05-01T12:30:07Z"}', "2026-05-01T12:30:07.000", '{"msg":"up","timestamp":" }'),
    ("12:30:07.250 [main] INFO up", "2026-06-15T12:30:07.250", "[main] INFO up"),
]


@pytest.mark.parametrize(("line", "moment", "rest"), FORMS, ids=[line for line, _, _ in FORMS])
def test_the_forms_that_programs_have(line: str, moment: str, rest: str) -> None:
    form = find_form([line])
    assert form is not None
    moments, rests = read_stamps([line, "  no time"], form, LAST)
    assert moments.astype("datetime64[ms]").astype(str).tolist() == [moment, "NaT"]
    assert rests[0].rstrip("]") == rest.rstrip("]")
    assert rests[1] == "  no time"


@pytest.mark.parametrize("line", ["INFO up", "took 12 ms", "10.0.0.1 up", "version 1.2.3", "1234567890123456789012 up"])
def test_what_is_no_time(line: str) -> None:
    assert find_form([line]) is None


def test_a_year_that_is_not_named_is_that_of_the_file_or_the_one_before() -> None:
    lines = ["Dec 30 10:00:00 a", "Dec 31 10:00:00 b", "Jan  2 10:00:00 c"]
    form = find_form(lines)
    assert form is not None
    moments, _ = read_stamps(lines, form, LAST)
    assert moments.astype("datetime64[D]").astype(str).tolist() == ["2025-12-30", "2025-12-31", "2026-01-02"]
    moments, _ = read_stamps(lines[:2], form, LAST)  # December of the year of the file is still to come
    assert moments.astype("datetime64[D]").astype(str).tolist() == ["2025-12-30", "2025-12-31"]


def test_clocks_without_a_day_go_on_after_midnight() -> None:
    lines = ["23:59:59 a", "00:00:01 b"]
    form = find_form(lines)
    assert form is not None
    moments, _ = read_stamps(lines, form, LAST)
    assert moments.astype("datetime64[D]").astype(str).tolist() == ["2026-06-14", "2026-06-15"]
