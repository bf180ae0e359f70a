import numpy as np
import pytest
import torch

from expose.encoders import Layout
from expose.exposure import spread_labels
from expose.exposure.spreading import MOST_SPREAD
from expose.objectives import Neighbours, nearest_rows


def groups(sizes, seed=0):
    """Rows in groups far apart, and the numbers of each row's five nearest."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.normal(20 * place, 1, (size, 2)) for place, size in enumerate(sizes)])
    distance = torch.cdist(torch.from_numpy(rows), torch.from_numpy(rows)).fill_diagonal_(torch.inf)
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)), distance.topk(5, largest=False)[1]


def test_one_label_settles_its_group_and_no_other():
    group, relatives = groups([60, 20, 20])
    known = torch.full((100,), -1)
    known[3], known[65] = 0, 1
    told = spread_labels(known, relatives)
    assert (told[group == 0] == 0).sum() > 10
    assert (told[group == 0] != 1).all()
    assert (told[group == 1] == 1).all()
    assert (told[group == 2] == -1).all()


def test_known_labels_are_never_overruled():
    group, relatives = groups([60, 20])
    known = torch.where(group == 1, 1, -1)
    known[70] = 0  # a normal row in the midst of anomalies
    known[:5] = torch.tensor([1, 0, 0, 0, 0])
    told = spread_labels(known, relatives)
    assert torch.equal(told[known >= 0], known[known >= 0])
    assert (told != known).any()


@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_alone_does_not_spread(label):
    _, relatives = groups([60, 20])
    known = torch.full((80,), -1)
    known[::10] = label
    assert torch.equal(spread_labels(known, relatives), known)


def test_no_more_than_a_third_become_anomalies():
    _, relatives = groups([10, 90])
    known = torch.full((100,), -1)
    known[0], known[50:95:5] = 0, 1
    told = spread_labels(known, relatives)
    assert int(((told == 1) & (known == -1)).sum()) == int(MOST_SPREAD * 100)


def test_nearest_rows_of_neighbours_are_those_of_all_views():
    rows = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1.5, 1.5, 9], [5, 5, 1.2]])
    one = Neighbours()
    one.build(Layout("vector", (3,), views=3))
    apart = torch.stack([torch.cdist(rows[:, [v]], rows[:, [v]]) for v in range(3)])
    found = one.pairwise_distances(rows)
    assert found.shape == (4, 4)
    scale = apart.flatten(1).median(1).values
    torch.testing.assert_close(found, (apart / scale[:, None, None]).mean(0))
    assert nearest_rows(one, rows, 2)[0].tolist() == [1, 3]
    assert nearest_rows(one, rows, 10).shape == (4, 3)


def test_many_known_anomalies_and_one_normal_row_do_not_take_the_table():
    _, relatives = groups([80, 20])
    scattered = torch.full((100,), -1)
    scattered[:80:4], scattered[1] = 1, 0
    told = spread_labels(scattered, relatives)
    assert not ((told == 1) & (scattered == -1)).any()
