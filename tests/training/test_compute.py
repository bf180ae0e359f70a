"""What torch shares among all threads of a process is put back, whoever trains or scores at the same time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from torch import nn

from expose.encoders import Layout
from expose.objectives import Losses, Objective
from expose.threads import torch_threads
from expose.training import build_members, member_outputs, ready_to_score, torch_seed
from expose.training.compute import fitting_threads

CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def in_two_threads(work, times: int = 20) -> list:
    """What a function gives when two threads call it at once, often."""
    together = Barrier(2)

    def turn(number):
        together.wait()
        return [work(number) for _ in range(times)]

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(turn, range(2)))


def test_overlapping_blocks_leave_the_number_of_threads(two_threads):
    def work(number):
        with fitting_threads(1000) if number else torch_threads(1):
            torch.randn(50, 50) @ torch.randn(50, 50)
            assert torch.get_num_threads() == 1

    in_two_threads(work, times=200)
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2


def test_overlapping_seeds_draw_their_own_numbers_and_leave_the_global_state():
    def work(number):
        with torch_seed(number):
            return [torch.rand(1).item() for _ in range(20)]

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    alone = [work(number) for number in range(2)]
    for number, drawn in enumerate(in_two_threads(work, times=100)):
        assert all(numbers == alone[number] for numbers in drawn)
    assert torch.equal(torch.random.get_rng_state(), before)


class Traces(Objective):
    """Leaves what it was last given in itself, as a forward pass may."""

    def build(self, layout):
        self.scale = nn.Parameter(torch.ones(layout.n_values))

    def losses(self, batch):
        self.last = batch
        distance = (self.last * self.scale).square().sum(-1)
        return Losses(distance, 1 / (distance + 1))


@pytest.mark.parametrize("members", [1, 3])
def test_scoring_from_two_threads_is_scoring_alone(members, two_threads):
    rows = np.random.default_rng(0).normal(size=(2, 500, 4)).astype(np.float32)
    ensemble = build_members(Traces(), Layout("vector", (4,)), torch.from_numpy(rows[0]), range(members))
    ready = ready_to_score(ensemble, CPU)
    alone = [member_outputs(ready, some) for some in rows]
    for number, found in enumerate(in_two_threads(lambda number: member_outputs(ready, rows[number]))):
        assert all(np.array_equal(scores, alone[number]) for scores in found)
    assert torch.get_num_threads() == 2


def test_a_thread_that_asked_while_another_computed_by_one_leaves_the_number_as_it_was():
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(1) as pool:
            with torch_threads(1):
                assert pool.submit(torch.get_num_threads).result() == 1  # it keeps this as its own number

            def compute():
                with torch_threads() as threads:
                    return threads

            assert pool.submit(compute).result() == 2
        with ThreadPoolExecutor(1) as fresh:
            assert fresh.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(usual)
