"""Answers in a file that grows: none is lost, the last word counts, and what is not about these data is refused."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from expose.errors import InputError
from expose.review.answers import Answers

HOSTILE = ['a,"b"', "two\nlines\r\n", "=HYPERLINK(1)", "\u202eRTL", "nul\0", "x\u2028y", "🙂", "'; --", "\t tab "]


def labels(answers: Answers) -> dict[int, int]:
    return {row: int(label) for row, label in enumerate(answers.labels()) if label >= 0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.csv"


def test_the_last_word_counts_and_another_reader_has_the_same(path: Path) -> None:
    answers = Answers(path, 10)
    answers.add([3], "anomaly", reviewer="Ada")
    answers.add([3], "normal", reviewer="Bob")
    answers.add([4], "anomaly", reviewer="Ada", note="odd")
    answers.add([5], "skipped", reviewer="Ada")
    assert labels(answers) == labels(Answers(path, 10)) == {3: 0, 4: 1}
    assert [one.said for one in answers.about(5)] == ["skipped"]


def test_labels_of_before_hold_where_nobody_spoke(path: Path) -> None:
    answers = Answers(path, 4)
    answers.add([1], "normal", reviewer="")
    assert answers.labels(np.array([1, 1, -1, 0])).tolist() == [1, 0, -1, 0]


def test_undo_gives_back_what_was_before_again_and_again(path: Path) -> None:
    answers = Answers(path, 10)
    answers.add([1], "anomaly", reviewer="Ada")
    answers.add([1], "normal", reviewer="Ada")
    answers.add([2], "anomaly", reviewer="Ada")
    assert answers.undo("Ada") == [2]
    assert labels(answers) == {1: 0}
    assert Answers(path, 10).undo("Ada") == [1]  # after a restart, too
    assert labels(answers) == {1: 1}
    assert answers.undo("Ada") == [1]
    assert answers.undo("Ada") == []
    assert labels(answers) == {}
    answers.add([1], "normal", reviewer="Ada")
    assert answers.undo("Ada") == [1]
    assert labels(answers) == {}


def test_undo_takes_back_all_of_an_event_and_nothing_of_others(path: Path) -> None:
    answers = Answers(path, 10)
    answers.add([1, 2, 3], "anomaly", reviewer="Ada")
    answers.add([2], "normal", reviewer="Bob")
    assert sorted(answers.undo("Ada")) == [1, 3]
    assert labels(answers) == {2: 0}
    answers.add([7], "anomaly", reviewer="Ada")
    answers.add([7], "normal", reviewer="Bob")
    assert answers.undo("Ada") == []  # Bob has spoken since
    assert labels(answers) == {2: 0, 7: 0}
    assert answers.undo("Bob") == [7]


def test_two_readers_of_one_file_see_each_other(path: Path) -> None:
    first, second = Answers(path, 10), Answers(path, 10)
    first.add([1], "anomaly", reviewer="Ada")
    second.add([2], "normal", reviewer="Bob")
    first.add([3], "normal", reviewer="Ada")
    assert labels(first) == labels(second) == {1: 1, 2: 0, 3: 0}
    assert path.read_text().count("answered_at") == 1  # one header


def answer_many(path: Path, start: int) -> None:
    answers = Answers(path, 1_000)
    for row in range(start, 200, 4):
        answers.add([row], "anomaly", reviewer=str(start), note="x" * 500)


def test_four_processes_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=answer_many, args=(path, start)) for start in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(60)
    assert labels(Answers(path, 1_000)) == dict.fromkeys(range(200), 1)


KILLED = """
import sys
from pathlib import Path
from expose.review.answers import Answers
answers = Answers(Path(sys.argv[1]), 100_000)
for row in range(100_000):
    answers.add([row], "normal", reviewer="Ada")
    print(row, flush=True)
"""


def test_a_kill_loses_no_answer_that_was_acknowledged(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(20):
            last = int(process.stdout.readline())
        time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        said = [int(line) for line in process.stdout.read().splitlines()]
    kept = labels(Answers(path, 100_000))
    assert set(range(max([last, *said]) + 1)) <= set(kept)


def test_half_a_line_is_cut_off_and_the_file_goes_on(path: Path) -> None:
    Answers(path, 10).add([1], "anomaly", reviewer="Ada")
    with path.open("ab") as file:
        file.write(b"2,1,anom")
    answers = Answers(path, 10)
    assert labels(answers) == {1: 1}
    answers.add([3], "normal", reviewer="Ada")
    assert labels(answers) == labels(Answers(path, 10)) == {1: 1, 3: 0}


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_kept_on_one_line(path: Path, text: str) -> None:
    names = {"id": [text, "b"], "answer": ["taken", "as well"]}
    answers = Answers(path, 2, names)
    answers.add([0], "anomaly", reviewer=text, note=text)
    again = Answers(path, 2, names)
    assert labels(again) == {0: 1}
    assert again.about(0) == answers.about(0)
    assert path.read_bytes().count(b"\n") == 2
    assert again.undo(answers.about(0)[0].reviewer) == [0]


def test_a_file_of_other_data_is_refused(path: Path) -> None:
    Answers(path, 3, {"id": ["a", "b", "c"]}).add([1], "normal", reviewer="Ada")
    with pytest.raises(InputError, match="calls row 1 b; in these data it is z"):
        Answers(path, 3, {"id": ["x", "z", "y"]})
    with pytest.raises(InputError, match="its columns are row, id, label"):
        Answers(path, 3)
    with pytest.raises(InputError, match="no answer about these 1 rows"):
        Answers(path, 1, {"id": ["a"]})


@pytest.mark.parametrize("text", ["row,label\n1,1\n", "\xff\xfe", '"', "a file of somebody\n"])
def test_what_is_no_file_of_answers_is_refused_and_left_alone(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="latin-1")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"answers\.csv"):
        Answers(path, 3)
    assert path.read_bytes() == before


def test_a_whole_line_without_an_end_is_kept(path: Path) -> None:
    Answers(path, 10).add([3], "anomaly", reviewer="Ada")
    path.write_bytes(path.read_bytes().rstrip())  # as some editors save it
    answers = Answers(path, 10)
    answers.add([4], "normal", reviewer="Ada")
    assert labels(answers) == labels(Answers(path, 10)) == {3: 1, 4: 0}


def test_a_file_that_is_gone_is_begun_anew(path: Path) -> None:
    answers = Answers(path, 10)
    answers.add([3], "anomaly", reviewer="Ada")
    path.unlink()
    assert labels(answers) == {}
    answers.add([4], "normal", reviewer="Ada")
    assert labels(answers) == labels(Answers(path, 10)) == {4: 0}  # with a header


def test_a_file_that_was_replaced_is_read_anew(path: Path) -> None:
    answers = Answers(path, 10)
    answers.add([3, 4], "anomaly", reviewer="Ada")
    header, *lines = path.read_text().splitlines(keepends=True)
    for kept in (lines[1:], lines[::-1]):  # a line less, and as many in another order, as an editor saves them
        other = path.with_suffix(".new")
        other.write_text("".join([header, *kept]))
        other.replace(path)
        assert labels(answers) == labels(Answers(path, 10))


def test_wrong_answers_are_refused(path: Path) -> None:
    answers = Answers(path, 3)
    with pytest.raises(InputError, match="there is no row 3"):
        answers.add([3], "normal", reviewer="Ada")
    with pytest.raises(InputError, match="'maybe'"):
        answers.add([1], "maybe", reviewer="Ada")
    assert not path.exists()
