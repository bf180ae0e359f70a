import numpy as np
import pytest

from expose.decide import choose_queries
from expose.errors import InputError


def planted(seed=0, sizes=(18, 16, 14, 12), normal=400):
    """Normal rows and small groups far off, in all 10 %, and the numbers of each row's ten nearest."""
    rng = np.random.default_rng(seed)
    centres = rng.permutation(np.array([[9.0, 0], [0, 9], [-9, 0], [0, -9]]))
    rows = [rng.normal(0, 1, (normal, 2))]
    rows += [rng.normal(centre, 0.3, (size, 2)) for centre, size in zip(centres, sizes, strict=True)]
    rows = np.concatenate(rows)
    group = np.repeat(np.arange(5), [normal, *sizes])
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    return rows, group, np.argsort(distance, axis=1)[:, :10]


def test_queries_find_the_groups_before_chance_does():
    found, chance = [], []
    for seed in range(5):
        rows, group, relatives = planted(seed)
        scores = np.linalg.norm(rows, axis=1) + np.random.default_rng(seed).normal(0, 3, len(rows))  # hardly known
        chosen = choose_queries(scores, relatives, np.full(len(rows), -1), 12)
        found.append(len(set(group[chosen]) - {0}))
        random = np.random.default_rng(seed).choice(len(rows), 12, replace=False)
        chance.append(len(set(group[random]) - {0}))
    assert min(found) >= 2
    assert np.mean(found) > np.mean(chance) + 1


def test_each_row_once_and_none_with_a_label():
    rows, _, relatives = planted()
    known = np.full(len(rows), -1)
    known[::2] = 0
    chosen = choose_queries(np.linalg.norm(rows, axis=1), relatives, known, 220)
    assert len(set(chosen.tolist())) == 220
    assert (known[chosen] == -1).all()


def test_a_settled_group_is_not_asked_about_again():
    rows, group, relatives = planted()
    known = np.full(len(rows), -1)
    known[group == 1] = 1
    known[np.flatnonzero(group == 1)[3:]] = -1
    chosen = choose_queries(np.linalg.norm(rows, axis=1), relatives, known, 10)
    assert 1 not in group[chosen]


def test_every_third_is_the_oddest_that_nothing_speaks_for():
    rows, _, relatives = planted()
    rows = np.concatenate([rows, [[30.0, 30.0]]])  # alone: the neighbour of no other row
    relatives = np.concatenate([relatives, [np.arange(10)]])
    scores = np.linalg.norm(rows, axis=1)
    chosen = choose_queries(scores, relatives, np.full(len(rows), -1), 3)
    assert chosen[2] == len(rows) - 1
    assert len(rows) - 1 not in choose_queries(scores, relatives, np.full(len(rows), -1), 2)


@pytest.mark.parametrize("k", [0, 3])
def test_more_than_there_are(k):
    with pytest.raises(InputError, match="from 1 to the number of unlabelled rows, 2 here"):
        choose_queries(np.arange(4.0), np.array([[1], [0], [3], [2]]), np.array([0, -1, -1, 1]), k)
