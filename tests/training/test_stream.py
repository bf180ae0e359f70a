"""Training parts in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from expose.encoders.layout import Layout
from expose.objectives import make_objective
from expose.training import Plan, TrainingSet, train
from expose.training.stream import CHUNK, Blocks, Store, stored

N, WIDTH = 5 * CHUNK + 100, 6


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float32)


def store_of(rows: np.ndarray, folder: Path, known: np.ndarray | None = None) -> Store:
    cuts = [slice(0, 1_500), slice(1_500, None)]
    return stored(folder, "one", ((rows[cut], None if known is None else known[cut]) for cut in cuts))


def plan(**changes: object) -> Plan:
    objective = make_objective("ntl", epochs=2, batch_size=256, warmup=1)
    fields = (objective, Layout("vector", (WIDTH,)), "soft", 0.1, (1, 2), torch.device("cpu"))
    return replace(Plan(*fields), **changes)


def weights(trained: object) -> list[torch.Tensor]:
    return list(trained.ensemble.state_dict().values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("labelled", [False, True])
def test_one_block_is_the_training_in_memory(labelled: bool, rows: np.ndarray, tmp_path: Path) -> None:
    known = np.random.default_rng(1).choice([-1, 0, 1], N, p=[0.9, 0.05, 0.05]).astype(np.int8) if labelled else None
    here = TrainingSet(torch.from_numpy(rows), None if known is None else torch.from_numpy(known))
    there = Blocks(here.rows, here.known, store=store_of(rows, tmp_path, known))
    assert there.n_blocks == 1
    first, second = train(plan(), here), train(plan(), there)
    assert all(torch.equal(one, other) for one, other in zip(weights(first), weights(second), strict=True))
    for one, other in zip(first.history, second.history, strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_a_pass_of_several_blocks_gives_every_part_once(rows: np.ndarray, tmp_path: Path) -> None:
    known = (np.arange(N) % 3 - 1).astype(np.int8)
    tagged = rows.copy()
    tagged[:, 0] = np.arange(N)
    data = Blocks(torch.from_numpy(rows[:50]), store=store_of(tagged, tmp_path, known), block_bytes=2 * CHUNK * 88)
    assert data.n_blocks == 3
    passes = [[data.block(number) for number in range(start, start + 3)] for start in (0, 3)]
    for blocks in passes:
        found = torch.cat([block.rows for block in blocks]).numpy()
        assert sorted(found[:, 0].tolist()) == list(range(N))
        labels = torch.cat([block.known for block in blocks if block.known is not None]).numpy()
        assert np.array_equal(found, tagged[found[:, 0].astype(int)])
        assert np.array_equal(labels, known[found[:, 0].astype(int)])
        assert max(map(len, (block.rows for block in blocks))) <= 2 * CHUNK
    assert not torch.equal(passes[0][0].rows[:, 0], passes[1][0].rows[:, 0]), "each pass deals anew"


def test_blocks_make_as_many_passes_as_epochs(rows: np.ndarray, tmp_path: Path) -> None:
    data = Blocks(torch.from_numpy(rows[:500]), store=store_of(rows, tmp_path), block_bytes=2 * CHUNK * 88)
    history = train(plan(), data).history
    assert len(history) == 2 * 3
    assert [one["contamination"] > 0 for one in history] == [False] * 3 + [True] * 3  # one pass of warm-up


def test_a_training_in_blocks_goes_on_after_an_interruption(rows: np.ndarray, tmp_path: Path) -> None:
    """After the fourth of six blocks, as Ctrl-C would do it."""
    data = Blocks(torch.from_numpy(rows[:500]), store=store_of(rows, tmp_path / "parts"), block_bytes=2 * CHUNK * 88)
    own = plan(checkpoint=tmp_path / "checkpoint", fingerprint="x")
    own.objective.recipe = replace(own.objective.recipe, checkpoint_every=0)
    straight = train(replace(own, checkpoint=None), data)

    class Interrupted(Blocks):
        def block(self, number: int) -> TrainingSet:
            if number == 4:
                raise KeyboardInterrupt
            return super().block(number)

    with pytest.warns(match="after 4 of 6 epochs"):
        assert train(own, Interrupted(**vars(data))).interrupted
    again = train(own, data)
    assert all(torch.equal(one, other) for one, other in zip(weights(straight), weights(again), strict=True))


def test_a_store_is_written_once(rows: np.ndarray, tmp_path: Path) -> None:
    store_of(rows, tmp_path)

    def unread():
        raise AssertionError("it was encoded again")
        yield

    assert stored(tmp_path, "one", unread()) == Store(tmp_path, N, WIDTH, False)
    other = stored(tmp_path, "other", [(rows[:10], None)])
    assert other.n_rows == 10
    assert (tmp_path / "parts.f32").stat().st_size == 10 * WIDTH * 4
