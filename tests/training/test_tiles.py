"""A row's score does not depend on its company, also where float32 would make it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from expose.encoders import Layout
from expose.networks.maps import ONEDNN
from expose.objectives import OBJECTIVES, Losses, Objective, make_objective
from expose.training import build_members, member_outputs, ready_to_score, tiles
from expose.training.tiles import CUDA_ROWS, GRID_TILE, SMALLER, TILE, WIDE_TILE, OneByOne, cut, tile_size

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
    for few in (*SMALLER, SMALLER[0] + 1, TILE + 1):
        assert np.array_equal(member_outputs(ensemble, rows[-few:]), scores[:, -few:])
    if ensemble.smallest_tile < 32:  # of rare differences a trial may know nothing
        assert np.array_equal(np.hstack([member_outputs(ensemble, rows[[i]]) for i in range(500)]), scores)


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


@pytest.mark.skipif(not ONEDNN, reason="this torch was built without oneDNN")
@pytest.mark.parametrize("width", [2, 4, 8, 10])
def test_narrow_tables_too_score_in_float32(width):
    """MKL's products of many small matrices round by the place of a row."""
    assert next(ready("ntl", width)[0].parameters()).dtype == torch.float32


def test_where_the_place_would_show_float64_hides_it():
    ensemble, rows = ready(Placed(), 4)
    assert next(ensemble.parameters()).dtype == torch.float64
    scores = member_outputs(ensemble, rows)
    assert np.array_equal(member_outputs(ensemble, rows[::-1].copy()), scores[:, ::-1])


class Sized(Placed):
    """Scores a row otherwise in tiles of fewer than so many rows, whatever it computes in."""

    def __init__(self, enough: int, smallest_tile: int = 4) -> None:
        super().__init__()
        self.enough = enough
        self.smallest_tile = smallest_tile

    def score(self, batch: torch.Tensor) -> torch.Tensor:
        return (batch @ self.weight).abs() * (1 + (len(batch) < self.enough))


@pytest.mark.parametrize(
    ("enough", "smallest", "found"), [(1, 4, SMALLER), (5, 4, SMALLER[1:]), (1, 32, SMALLER[2:]), (TILE, 4, ())]
)
def test_few_rows_come_in_those_smaller_tiles_alone_that_score_as_the_large_one(enough, smallest, found):
    ensemble, rows = ready(Sized(enough, smallest), 4)
    assert ensemble.smaller_tiles == found
    assert np.array_equal(member_outputs(ensemble, rows[:1]), member_outputs(ensemble, rows)[:, :1])


def test_components_that_the_score_hides_are_tried_out_too():
    class Hides(Sized):
        components = {"one": "", "other": ""}  # noqa: RUF012 - never changed

        def score(self, batch):
            return self.component_scores(batch).amax(-1)

        def component_scores(self, batch):
            return torch.stack([super().score(batch), super().score(batch) * 0 + 1e9], -1)

    assert ready(Hides(TILE), 4)[0].smaller_tiles == ()
    assert ready(Hides(1), 4)[0].smaller_tiles == SMALLER


def test_a_place_that_shows_in_rows_far_out_alone_is_found():
    class FarOut(Placed):
        def score(self, batch):
            return super().score(batch) if bool((batch.abs() > 50).any()) else (batch @ self.weight).abs()

    assert next(ready(FarOut(), 4)[0].parameters()).dtype == torch.float64


def test_tiles_hold_every_row_once_in_the_smallest_that_does():
    for n in (0, 1, 31, 32, 33, TILE - 1, TILE, TILE + 1, 4 * TILE + 100):
        found = list(cut(n, [*SMALLER, TILE]))
        assert [start for start, _ in found] == list(range(0, n, TILE))
        assert all(size == TILE for _, size in found[:-1])
        assert not found or found[-1][1] == min(size for size in (*SMALLER, TILE) if size >= n - found[-1][0])


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


def test_items_are_given_once_and_end_when_left():
    with OneByOne("abc") as items:
        assert list(items) == ["a", "b", "c"]
    with OneByOne("abc") as items:
        next(items)
    assert list(items) == []


def test_images_come_in_smaller_tiles_on_a_cuda_device():
    cuda = torch.device("cuda")
    small, large = Layout("image", (3, 32, 32)), Layout("image", (3, 512, 512))
    assert tile_size(Layout("vector", (30,)), 30, cuda) == CUDA_ROWS
    assert tile_size(small, small.n_values, cuda) * small.n_values <= 2**25
    assert tile_size(large, large.n_values, cuda) == TILE
