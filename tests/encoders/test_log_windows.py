"""Templates of logs, and what is counted of windows."""

from __future__ import annotations

import numpy as np
import pytest

from expose.encoders import LogEncoder
from expose.encoders.templates import Matcher, drain
from expose.errors import DataWarning, InputError
from expose.kinds import Logs, as_logs

ABC = "abcdefghijkl"


def log(rows: int = 60, extra: tuple[str, ...] = (), took: int = 10) -> Logs:
    """A line each ten seconds; windows of a minute."""
    lines = [f"2026-05-01 12:{row // 6:02}:{row % 6}0 INFO job {row} took {took + row % 5} ms" for row in range(rows)]
    return as_logs(sorted([*lines, *extra]), "1m")


def counted(encoder: LogEncoder, logs: Logs, name: str) -> list[float]:
    seen = encoder.read(logs).seen
    assert seen is not None
    return seen.values[:, seen.names.index(name)].tolist()


def test_words_of_many_values_are_open_and_others_stay() -> None:
    assert drain([f"user {letter} came" for letter in ABC]) == ["user <*> came"]
    assert drain([f"cache {word} for key" for word in ("hit", "miss")]) == ["cache hit for key", "cache miss for key"]


def test_levels_and_lengths_do_not_mix() -> None:
    assert len(drain(["INFO disk is full now", "ERROR disk is full now", "INFO disk is full"])) == 3


def test_a_name_among_the_first_words_is_open_where_it_has_many_values() -> None:
    assert drain([f"{letter} connected to host" for letter in ABC]) == ["<*> connected to host"]
    assert len(drain([f"{letter} connected to host" for letter in ABC[:5]])) == 5


def test_a_message_is_compared_with_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expose.encoders.templates.MOST_COMPARED", 1)
    messages = [f"<ID> <ID> {letter} {letter}" for letter in ABC]
    assert len(drain([*messages, "<ID> <ID> a b"])) == 13  # its like is not among the latest


def test_messages_match_word_by_word() -> None:
    matcher = Matcher(["a <*> c", "a b c"])
    assert [matcher(text) for text in ("a b c", "a x c", "a x d", "a b c d", "")] == [1, 0, -1, -1, -1]


def test_a_template_of_one_window_counts_as_unseen_and_so_do_new_ones() -> None:
    encoder = LogEncoder().fit(log(extra=("2026-05-01 12:03:05 ERROR disk full",)))
    assert encoder.templates == ("INFO job <NUM> took <NUM> ms",)
    assert counted(encoder, log(), "unseen lines") == [0] * 10
    later = log(extra=("2026-05-01 12:07:05 FATAL gone", "2026-05-01 12:07:06 FATAL gone"))
    assert counted(encoder, later, "unseen lines") == [0] * 7 + [2] + [0] * 2
    rows = encoder.transform(later)
    place = dict(encoder.groups)["unseen lines"].start
    assert rows[7, place] > 1 > rows[6, place]


def test_one_odd_number_and_all_of_them_are_two_things() -> None:
    encoder = LogEncoder().fit(log())
    one = log(extra=("2026-05-01 12:04:05 INFO job 7 took 9000 ms",))
    assert np.argmax(counted(encoder, one, "an odd number")) == 4
    slow = counted(encoder, log(took=20), "numbers on the whole")
    assert min(slow) > max(counted(encoder, log(), "numbers on the whole"))


def test_the_order_counts_in_sessions() -> None:
    steps = ["open", "read", "close"]
    lines = [f"{word} id={row}" for row in range(30) for word in steps]
    lines += [f"{word} id=99" for word in ("open", "close", "read")]
    encoder = LogEncoder().fit(as_logs(lines, session="id="))
    order = counted(encoder, as_logs(lines, session="id="), "order of lines")
    assert np.argmax(order) == 30
    assert len(set(order)) == 2


def test_windows_of_training_and_later_are_cut_alike() -> None:
    encoder = LogEncoder().fit(log())
    with pytest.raises(InputError, match=r"trained on windows of 1m; got windows of 5m\. .*window='1m'"):
        encoder.transform(as_logs(["2026-05-01 12:00:00 a"], "5m"))
    with pytest.raises(InputError, match=r"expected logs, as expose\.kinds\.as_logs makes"):
        encoder.transform(["a"])


def test_long_templates_have_names_of_their_own() -> None:
    words = " ".join(f"word{letter}" for letter in ABC * 3)
    lines = [f"2026-05-01 12:{row:02}:00 {words} {end}" for row in range(20) for end in ("x", "y")]
    names = [name for name, _ in LogEncoder().fit(as_logs(lines, "1m")).groups]
    assert len(set(names)) == len(names) == 6


def test_a_flood_of_unseen_lines_does_not_hide_a_single_one() -> None:
    flood = tuple(f"2026-05-01 12:03:{second:02} ERROR disk full" for second in range(60))
    logs = log(rows=330, extra=(*flood, "2026-05-01 12:07:05 FATAL gone"))
    encoder = LogEncoder().fit(logs)
    column = encoder.transform(logs)[:, dict(encoder.groups)["unseen lines"].start]
    assert column[3] > column[7] > 1.5
    assert column[7] > 10 * abs(column[0])


def test_the_end_of_a_regular_log_is_as_usual() -> None:
    logs = log(rows=58)  # the last minute ends with its fourth entry
    encoder = LogEncoder().fit(logs)
    column = encoder.transform(logs)[:, dict(encoder.groups)["entries"].start]
    np.testing.assert_array_equal(column, column[0])
    silent = as_logs([f"2026-05-01 12:{minute:02}:00 INFO job 1 took 10 ms" for minute in range(10)], "1m")
    assert encoder.transform(silent)[-1, dict(encoder.groups)["entries"].start] < column[0] - 1


def test_another_log_is_said_to_be_one() -> None:
    encoder = LogEncoder().fit(log())
    other = as_logs([f"2026-05-01 12:{minute:02}:00 user came" for minute in range(10)], "1m")
    with pytest.warns(DataWarning, match="10 entries are of no template of lines that training knows"):
        encoder.transform(other)


def test_templates_are_learned_from_the_most_frequent_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expose.encoders.log_windows.MOST_MESSAGES", 1)
    extra = tuple(f"2026-05-01 12:0{minute}:05 ERROR disk full" for minute in range(3))
    assert LogEncoder().fit(log(extra=extra)).templates == ("INFO job <NUM> took <NUM> ms",)
