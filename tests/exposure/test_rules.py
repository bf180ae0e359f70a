"""The four rules, by hand and as laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expose.exposure import EXPOSURES, BatchRanking, RunningRanking, blind, hard, refine, soft

NORMAL = torch.tensor([[1.0, 5.0, 2.0, 4.0, 3.0]])
ABNORMAL = torch.tensor([[1.0, 4.9, 0.0, 1.0, 1.0]])  # normal - abnormal: 0, 0.1, 2, 3, 2


def ranking(share: float) -> BatchRanking:
    return BatchRanking(share, torch.Generator().manual_seed(0))


def test_rules_by_hand():
    """With 20 % of five rows one suspect: row 1 has the largest normal loss, row 3 the largest gap."""
    args = (NORMAL, ABNORMAL, None, ranking(0.2))
    assert blind(*args).keep_normal.tolist() == [[1, 1, 1, 1, 1]]
    assert blind(*args).keep_abnormal.tolist() == [[0, 0, 0, 0, 0]]
    assert refine(*args).keep_normal.tolist() == [[1, 0, 1, 1, 1]]
    assert refine(*args).keep_abnormal.tolist() == [[0, 0, 0, 0, 0]]
    assert hard(*args).keep_normal.tolist() == [[1, 1, 1, 0, 1]]
    assert hard(*args).keep_abnormal.tolist() == [[0, 0, 0, 1, 0]]
    assert soft(*args).keep_normal.tolist() == [[1, 1, 1, 0.5, 1]]
    assert soft(*args).keep_abnormal.tolist() == [[0, 0, 0, 0.5, 0]]


@pytest.mark.parametrize("rule", EXPOSURES.values())
def test_known_labels_are_never_overruled(rule):
    known = torch.tensor([[-1, 0, -1, 0, 1]])  # the most suspicious rows 1 and 3 are known to be normal
    weights = rule(NORMAL, ABNORMAL, known, ranking(0.4))
    assert weights.keep_normal[0, [1, 3, 4]].tolist() == [1, 1, 0]
    assert weights.keep_abnormal[0, [1, 3, 4]].tolist() == [0, 0, 1]
    if rule is hard:  # 40 % of the two unlabelled rows: less than one, so one or none, and only among them
        assert weights.keep_abnormal[0, [0, 2]].sum() <= 1


@given(
    st.sampled_from(sorted(EXPOSURES)),
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(0, 2**31),
)
def test_contamination_zero_equals_blind(name, rows, members, seed):
    torch.manual_seed(seed)
    normal, abnormal = torch.randn(2, members, rows)
    known = torch.randint(-1, 2, (members, rows))
    for labels in (None, known):
        zero = EXPOSURES[name](normal, abnormal, labels, ranking(0.0))
        reference = blind(normal, abnormal, labels, ranking(0.3))
        assert torch.equal(zero.keep_normal, reference.keep_normal)
        assert torch.equal(zero.keep_abnormal, reference.keep_abnormal)


@given(st.integers(1, 300), st.floats(0, 0.49), st.integers(0, 2**31))
def test_counts_are_exact_and_no_row_is_lost(rows, share, seed):
    torch.manual_seed(seed)
    normal, abnormal = torch.randn(2, 3, rows)
    weights = hard(normal, abnormal, None, ranking(share))
    suspects = weights.keep_abnormal.sum(-1)
    assert torch.equal(weights.keep_normal + weights.keep_abnormal, torch.ones(3, rows))
    assert ((suspects - share * rows).abs() < 1).all()  # the next whole number below or above
    at_once = hard(normal, abnormal, None, BatchRanking(share)).keep_abnormal.sum(-1)
    assert (at_once == round(share * rows)).all()


def test_ties_do_not_change_the_count():
    same = torch.ones(2, 10)
    assert hard(same, same, None, ranking(0.3)).keep_abnormal.sum(-1).tolist() == [3, 3]


@pytest.mark.parametrize(("share", "rows"), [(0.1, 4), (0.01, 128), (0.1, 128), (0.015, 100)])
def test_counts_are_right_in_the_mean_over_batches(share, rows):
    """The original code rounds down: at 10 % it never calls a row of a batch under ten anomalous."""
    lottery, due = ranking(share), share * rows
    drawn = [lottery.suspects(torch.randn(1, rows), None).sum().item() for _ in range(4000)]
    assert set(drawn) == {int(due), int(due) + 1}
    assert sum(drawn) / 4000 == pytest.approx(due, abs=4 * (0.25 / 4000) ** 0.5)


def test_members_round_each_for_itself():
    one = BatchRanking(torch.tensor([0.05, 0.25]), torch.Generator().manual_seed(0))
    counts = torch.stack([one.suspects(torch.randn(2, 10), None).sum(-1) for _ in range(400)]).double()
    torch.testing.assert_close(counts.mean(0), torch.tensor([0.5, 2.5], dtype=torch.float64), rtol=0, atol=0.1)
    assert 0.3 < float((counts[:, 0] > 0).eq(counts[:, 1] > 2).double().mean()) < 0.7


def test_running_ranking_finds_all_anomalies_of_an_uneven_batch():
    """Ten rows at 10 %: one batch of nothing but normal rows, then one with three anomalies."""
    torch.manual_seed(0)
    running = RunningRanking(0.1, torch.Generator().manual_seed(0))
    for _ in range(20):
        running.suspects(torch.rand(1, 10), None)
    uneven = torch.rand(1, 10)
    uneven[0, :3] += 5
    assert running.suspects(uneven, None)[0, :3].all()
    assert not running.suspects(torch.full((1, 10), 0.1), None).any()


def test_running_ranking_never_suspects_a_labelled_row():
    running = RunningRanking(0.2, torch.Generator())
    known = torch.tensor([[0, 1, -1, -1, -1]])
    for _ in range(5):
        found = running.suspects(torch.tensor([[9.0, 9.0, 1.0, 2.0, 8.0]]), known)
        assert not found[0, :2].any()
