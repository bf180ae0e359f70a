"""A row's score does not depend on its company, also where float32 would make it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from expose.estimators.scoring import (
    CUDA_ROWS,
    TILE,
    Turns,
    cuda_rows,
    member_scores,
    one_thread_each,
    ready_to_score,
    tile_rows,
)
from expose.inputs import Layout

from expose.estimators import scoring
from expose.objectives import OBJECTIVES, Losses, Objective, make_objective
from expose.training import build_members

CPU = torch.device("cpu")


class Placed(Objective):
    """Scores a row by its values and, in float32 only, by its place in the last bits."""

    def build(self, n_features: int) -> None:
        self.weight = torch.nn.Parameter(torch.ones(n_features))

    def score(self, batch: torch.Tensor) -> torch.Tensor:
        place = torch.arange(len(batch), dtype=batch.dtype) * torch.finfo(batch.dtype).eps
        return (batch @ self.weight).abs() * (1 + place)

    def losses(self, batch: torch.Tensor) -> Losses:
        score = self.score(batch)
        return Losses(score, 1 / (score + 1))


def ready(objective, width, members=1):
    rows = np.random.default_rng(0).normal(size=(500, width)).astype(np.float32)
    ensemble = build_members(make_objective(objective), torch.from_numpy(rows), range(members))
    return ready_to_score(ensemble, CPU, Layout("table", (width,))), rows


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("width", [2, 5, 30])
@pytest.mark.parametrize("name", sorted(name for name, cls in OBJECTIVES.items() if "table" in cls.kinds))
def test_a_row_has_one_score_alone_in_any_order_and_among_many(name, width, members):
    ensemble, rows = ready(name, width * len(OBJECTIVES[name].scalings or "1"), members)
    scores = member_scores(ensemble, rows)
    order = np.random.default_rng(1).permutation(500)
    assert np.array_equal(member_scores(ensemble, rows[order]), scores[:, order])
    assert np.array_equal(member_scores(ensemble, np.tile(rows, (3, 1)))[:, 713:1213], np.roll(scores, -213, axis=1))
    assert np.array_equal(np.hstack([member_scores(ensemble, rows[[i]]) for i in range(9)]), scores[:, :9])


def test_the_number_of_threads_changes_no_score_and_is_left_as_it_was():
    ensemble, rows = ready("ntl", 30)
    before = torch.get_num_threads()
    try:
        scores = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            scores.append(member_scores(ensemble, np.tile(rows, (2, 1))))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*scores)


def test_usual_models_score_in_float32_and_close_to_float64():
    ensemble, rows = ready("ntl", 30)
    assert next(ensemble.parameters()).dtype == torch.float32
    exact = member_scores(ensemble.double(), rows)
    assert np.allclose(member_scores(ensemble.float(), rows), exact, rtol=1e-4)


def test_where_the_place_would_show_float64_hides_it():
    ensemble, rows = ready(Placed(), 4)
    assert next(ensemble.parameters()).dtype == torch.float64
    scores = member_scores(ensemble, rows)
    assert np.array_equal(member_scores(ensemble, rows[::-1].copy()), scores[:, ::-1])


def test_a_wide_table_has_smaller_tiles():
    assert tile_rows(30) == TILE
    assert tile_rows(50_000) < TILE


def test_an_error_in_one_thread_reaches_the_caller_and_ends_the_others(monkeypatch):
    ensemble, rows = ready("autoencoder", 4)
    calls = []

    def broken(*_):
        calls.append(threading.get_ident())
        raise ArithmeticError("broken")

    monkeypatch.setattr(scoring, "fill", broken)
    with one_thread_each() as threads:
        pass
    with pytest.raises(ArithmeticError, match="broken"):
        member_scores(ensemble, rows)
    assert torch.get_num_threads() == threads
    assert calls


def test_turns_are_given_once_and_end_when_left():
    with Turns(10, 4) as turns:
        assert list(turns) == [0, 4, 8]
    with Turns(10, 4) as turns:
        next(turns)
    assert list(turns) == []


def test_images_come_in_smaller_tiles_on_a_cuda_device():
    assert cuda_rows(30) == CUDA_ROWS
    assert cuda_rows(3 * 32 * 32) * 3 * 32 * 32 <= 2**25
    assert cuda_rows(3 * 512 * 512) == TILE
