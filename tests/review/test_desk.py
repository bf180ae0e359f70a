"""A review: what is proposed, what answers do, and what fitting again changes."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from expose import AnomalyDetector, load
from expose.errors import InputError
from expose.kinds import Batch, as_series
from expose.review import desk as desks
from expose.review.answers import Answers
from expose.review.desk import Desk

SEVEN = [(0, "anomaly"), (1, "anomaly"), (2, "anomaly"), (50, "normal"), (60, "normal"), (70, "normal"), (80, "normal")]


def answer(desk: Desk, *pairs: tuple[int, str]) -> None:
    for row, said in pairs:
        desk.answer(row, said, reviewer="Ada")


def test_what_was_spoken_of_leaves_the_queue_and_comes_back_by_undo(desk: Desk) -> None:
    first, second, *_ = desk.queue()
    assert first in desk.standing.proposed
    answer(desk, (first, "anomaly"), (second, "skipped"))
    assert {first, second}.isdisjoint(desk.queue())
    assert desk.undo("Ada") == second
    assert desk.queue()[0] == second
    assert desk.undo("Bob") is None


def test_progress_counts_what_no_fit_knows(desk: Desk) -> None:
    answer(desk, (0, "anomaly"), (1, "normal"), (2, "skipped"))
    progress = desk.progress()
    assert (progress.anomalies, progress.normal, progress.skipped, progress.pending) == (1, 1, 1, 2)
    desk.learn()
    assert desk.progress().pending == 0
    assert desk.undo("Ada") == 2  # a skip changes nothing for a fit
    assert desk.progress().pending == 0
    assert desk.undo("Ada") == 1  # what a fit knows, and should not
    assert desk.progress().pending == 1


def test_a_refit_knows_the_answers_and_leaves_the_first_model_alone(desk: Desk, detector: AnomalyDetector) -> None:
    before = detector.training_scores_.copy()
    answer(desk, *SEVEN)
    change = desk.learn()
    assert (change.anomalies, change.normal) == (3, 4)
    learned = load(desk.out)
    assert np.flatnonzero(learned.fitted_.known == 1).tolist() == [0, 1, 2]
    assert np.array_equal(detector.training_scores_, before)
    assert (detector.fitted_.known == -1).all()
    assert desk.standing.generation == 1


def test_a_refit_equals_fit_with_these_labels(desk: Desk, detector: AnomalyDetector) -> None:
    answer(desk, *SEVEN)
    desk.learn()
    labels = desk.answers.labels()
    by_hand = AnomalyDetector(**{**detector.get_params(), "warm_start": True}).take_over(detector.fitted_)
    by_hand.fit(desk.batch.samples, labels=labels)
    assert np.array_equal(by_hand.training_scores_, load(desk.out).training_scores_)


def test_rose_and_fell_are_told_by_the_ranks(desk: Desk) -> None:
    before = desk.standing
    answer(desk, *SEVEN)
    change, after = desk.learn(), desk.standing
    for one in change.rose + change.fell:
        assert (before.ranks[one.row], after.ranks[one.row]) == (one.before, one.after)
        assert after.fitted.known[one.row] < 0
    assert all(one.after < one.before for one in change.rose)
    assert all(one.after > one.before for one in change.fell)


def test_answers_that_cannot_be_learned_are_said_and_kept(desk: Desk) -> None:
    answer(desk, *[(row, "anomaly") for row in range(70)])
    done = threading.Event()
    assert desk.learn_soon(done.set)
    assert done.wait(60)
    assert "70 of 120 rows are called anomalies" in desk.progress().failed
    assert desk.standing.generation == 0
    assert len(desk.answers.current()) == 70
    assert not desk.out.exists()


def test_only_one_refit_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, done = threading.Event(), threading.Event()
    learn = desk._learn
    monkeypatch.setattr(desk, "_learn", lambda: (go_on.wait(60), learn()))
    answer(desk, *SEVEN)
    assert desk.learn_soon(done.set)
    assert desk.progress().learning
    assert not desk.learn_soon()
    go_on.set()
    assert done.wait(60)
    assert not desk.progress().learning


def test_a_row_is_explained_under_its_own_rank(desk: Desk) -> None:
    row = int(desk.standing.order[0])
    suspect = desk.standing.look(row)
    assert (suspect.rank, suspect.row, suspect.name) == (1, row, f"A{row:03}")
    assert suspect.reasons[0].name == "amount"
    assert suspect.score == desk.standing.scores[row]


def test_rows_alike_are_near_and_never_the_row_itself(desk: Desk) -> None:
    alike = desk.standing.alike(0, 5)
    assert len(alike) == 5
    assert 0 not in alike
    assert set(alike) == {1, 2, 3, 4, 5}  # the far ones lie together


def test_other_data_are_refused(detector: AnomalyDetector, desk: Desk, tmp_path: Path) -> None:
    other = desk.batch.samples.slice(0, 100)
    with pytest.raises(InputError, match="must be the training data"):
        Desk(detector, Batch(other), Answers(tmp_path / "a.csv", 100), tmp_path / "m")


def test_all_rows_answered_is_an_end(desk: Desk) -> None:
    answer(desk, *[(row, "skipped") for row in range(120)])
    assert desk.queue() == []


def test_an_answer_about_a_step_is_about_its_event(tmp_path: Path) -> None:
    wave = np.sin(np.arange(600) / 3) + 0.1 * np.random.default_rng(0).normal(size=600)
    wave[400:410] = 0
    samples = as_series(wave, window=20)
    detector = AnomalyDetector(random_state=0).fit(samples)
    review = Desk(detector, Batch(samples), Answers(tmp_path / "a.csv", 600), tmp_path / "m")
    row = review.queue()[0]
    assert 380 < row < 430
    rows = review.standing.meant(row)
    assert len(rows) > 1
    review.answer(row, "anomaly", reviewer="Ada")
    assert review.progress().anomalies == 1  # one thing, of several rows
    assert not set(rows) & set(review.queue())
    assert set(np.flatnonzero(review.answers.labels() == 1)) == set(rows)
    assert review.undo("Ada") == row
    assert (review.answers.labels() == -1).all()


def test_a_desk_goes_on_from_what_was_learned(desk: Desk, detector: AnomalyDetector) -> None:
    answer(desk, *SEVEN)
    desk.learn()
    again = Desk(load(desk.out), desk.batch, desk.answers, desk.out, labels=detector.fitted_.known)
    assert again.progress().pending == 0
    assert np.array_equal(again.standing.scores, desk.standing.scores)
    again.undo("Ada")
    assert again.progress().pending == 1


def test_labels_that_were_known_before_hold(detector: AnomalyDetector, desk: Desk, tmp_path: Path) -> None:
    labels = np.full(120, -1)
    labels[[3, 90]] = 1, 0
    known = AnomalyDetector(random_state=0).fit(desk.batch.samples, labels=labels)
    review = Desk(known, desk.batch, Answers(tmp_path / "b.csv", 120), tmp_path / "m")
    assert {3, 90}.isdisjoint(review.queue())
    review.answer(0, "anomaly", reviewer="Ada")
    change = review.learn()
    assert (change.anomalies, change.normal) == (2, 1)


def test_moved_are_the_first_few(desk: Desk) -> None:
    answer(desk, *SEVEN)
    change = desk.learn()
    assert max(len(change.rose), len(change.fell)) <= desks.MOVED
