"""A row's score does not depend on its company, also where float32 would make it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from expose.encoders import Layout
from expose.objectives import OBJECTIVES, Losses, Objective, make_objective
from expose.training import build_members, member_outputs, ready_to_score, tiles
from expose.training.tiles import CUDA_ROWS, GRID_TILE, TILE, WIDE_TILE, Starts, tile_size

CPU = torch.device("cpu")


class Placed(Objective):
    """Scores a row by its values and, in float32 only, by its place in the last bits."""

    def build(self, layout: Layout) -> None:
        self.weight = torch.nn.Parameter(torch.ones(layout.n_values))

    def score(self, batch: torch.Tensor) -> torch.Tensor:
        place = torch.arange(len(batch), dtype=batch.dtype) * torch.finfo(batch.dtype).eps
        return (batch @ self.weight).abs() * (1 + place)

    def losses(self, batch: torch.Tensor) -> Losses:
        score = self.score(batch)
        return Losses(score, 1 / (score + 1))


def ready(objective, width, members=1, views=1):
    rows = np.random.default_rng(0).normal(size=(500, width * views)).astype(np.float32)
    layout = Layout("vector", (width * views,), views=views)
    ensemble = build_members(make_objective(objective), layout, torch.from_numpy(rows), range(members))
    return ready_to_score(ensemble, CPU), rows


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("width", [2, 5, 30])
@pytest.mark.parametrize("name", sorted(name for name, cls in OBJECTIVES.items() if "vector" in cls.forms))
def test_a_row_has_one_score_alone_in_any_order_and_among_many(name, width, members):
    ensemble, rows = ready(name, width, members, views=3 if name == "neighbours" else 1)
    scores = member_outputs(ensemble, rows)
    order = np.random.default_rng(1).permutation(500)
    assert np.array_equal(member_outputs(ensemble, rows[order]), scores[:, order])
    assert np.array_equal(member_outputs(ensemble, np.tile(rows, (3, 1)))[:, 713:1213], np.roll(scores, -213, axis=1))
    assert np.array_equal(np.hstack([member_outputs(ensemble, rows[[i]]) for i in range(9)]), scores[:, :9])


def test_the_number_of_threads_changes_no_score_and_is_left_as_it_was():
    ensemble, rows = ready("ntl", 30)
    before = torch.get_num_threads()
    try:
        scores = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            scores.append(member_outputs(ensemble, np.tile(rows, (2, 1))))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*scores)


def test_usual_models_score_in_float32_and_close_to_float64():
    ensemble, rows = ready("ntl", 30)
    assert next(ensemble.parameters()).dtype == torch.float32
    exact = member_outputs(ensemble.double(), rows)
    assert np.allclose(member_outputs(ensemble.float(), rows), exact, rtol=1e-4)


def test_where_the_place_would_show_float64_hides_it():
    ensemble, rows = ready(Placed(), 4)
    assert next(ensemble.parameters()).dtype == torch.float64
    scores = member_outputs(ensemble, rows)
    assert np.array_equal(member_outputs(ensemble, rows[::-1].copy()), scores[:, ::-1])


def test_one_image_or_text_does_not_pay_for_a_table_s_tile():
    assert tile_size(Layout("vector", (30,)), 30, CPU) == TILE
    assert tile_size(Layout("vector", (50_000,)), 50_000, CPU) == WIDE_TILE
    for layout in (Layout("image", (3, 32, 32)), Layout("tokens", (256,), 1000)):
        assert tile_size(layout, layout.n_values, CPU) == GRID_TILE <= 8


@pytest.mark.parametrize("layout", [Layout("image", (1, 6, 6)), Layout("tokens", (9,), 20)], ids=["image", "tokens"])
def test_one_image_or_text_is_computed_beside_few_others(layout):
    class Counts(Objective):
        forms = ("image", "tokens")

        def build(self, _):
            self.weight, self.seen = torch.nn.Parameter(torch.ones(())), []

        def losses(self, batch):
            self.seen.append(len(batch))
            return Losses(self.weight * batch.mean(-1), self.weight * batch.mean(-1))

    ensemble = ready_to_score(build_members(Counts(), layout, torch.rand(3, layout.n_values), (0,)), CPU)
    ensemble.only.seen.clear()
    assert member_outputs(ensemble, np.ones((1, layout.n_values), dtype=np.float32)).tolist() == [[1.0]]
    assert ensemble.only.seen == [GRID_TILE]


def test_an_error_in_one_thread_reaches_the_caller_and_ends_the_others(monkeypatch):
    ensemble, rows = ready("autoencoder", 4)
    calls = []

    def broken(*_):
        calls.append(threading.get_ident())
        raise ArithmeticError("broken")

    monkeypatch.setattr(tiles, "fill", broken)
    threads = torch.get_num_threads()
    with pytest.raises(ArithmeticError, match="broken"):
        member_outputs(ensemble, rows)
    assert torch.get_num_threads() == threads
    assert calls


def test_starts_are_given_once_and_end_when_left():
    with Starts(10, 4) as starts:
        assert list(starts) == [0, 4, 8]
    with Starts(10, 4) as starts:
        next(starts)
    assert list(starts) == []


def test_images_come_in_smaller_tiles_on_a_cuda_device():
    cuda = torch.device("cuda")
    small, large = Layout("image", (3, 32, 32)), Layout("image", (3, 512, 512))
    assert tile_size(Layout("vector", (30,)), 30, cuda) == CUDA_ROWS
    assert tile_size(small, small.n_values, cuda) * small.n_values <= 2**25
    assert tile_size(large, large.n_values, cuda) == TILE
