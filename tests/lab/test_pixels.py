"""Pixel metrics: against scikit-learn, against a slow second implementation, and at their edges."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from expose.errors import InputError
from expose_lab import aupro, pixel_auroc, pixel_average_precision, pixel_metrics

ALL = [aupro, pixel_auroc, pixel_average_precision]


@st.composite
def judged(draw):
    """A few small photos of several sizes, with masks of few regions and scores of few values, so that ties abound."""
    values = st.sampled_from([-3.0, 0.0, 0.1, 0.5, 1.0, 7.0]) if draw(st.booleans()) else st.floats(0, 1, width=16)
    masks, maps = [], []
    for _ in range(draw(st.integers(1, 3))):
        size = draw(st.tuples(st.integers(1, 6), st.integers(2, 6)))
        n = size[0] * size[1]
        masks.append(np.reshape(draw(st.lists(st.sampled_from([0, 0, 1]), min_size=n, max_size=n)), size))
        maps.append(np.reshape(draw(st.lists(values, min_size=n, max_size=n)), size))
    masks[0][0, :2] = 0, 1
    return masks, maps


def flat(arrays):
    return np.concatenate([np.ravel(one) for one in arrays])


def regions_slowly(mask):
    """Sets of connected pixels, by walking from each to its eight neighbours."""
    left, found = {(int(y), int(x)) for y, x in np.argwhere(mask)}, []
    while left:
        waiting, region = [left.pop()], set()
        while waiting:
            y, x = waiting.pop()
            region.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            waiting += near
        found.append(region)
    return found


def aupro_slowly(masks, maps, limit):
    """Threshold by threshold, with the straight lines between them cut at the limit."""
    points = [(0.0, 0.0)]
    for threshold in sorted(set(flat(maps).tolist()), reverse=True):
        overlaps, false, normal = [], 0, 0
        for mask, scores in zip(masks, maps, strict=True):
            called = scores >= threshold
            overlaps += [np.mean([called[place] for place in region]) for region in regions_slowly(mask)]
            false += int((called & (mask == 0)).sum())
            normal += int((mask == 0).sum())
        points.append((false / normal, float(np.mean(overlaps))))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= limit or x0 == x1:
            continue
        end = min(x1, limit)
        area += (end - x0) * (y0 + (y0 + (y1 - y0) * (end - x0) / (x1 - x0))) / 2
    return area / limit


@given(judged(), st.sampled_from([0.05, 0.3, 1.0]))
def test_aupro_equals_a_slow_second_implementation(given_, limit):
    assert aupro(*given_, limit) == pytest.approx(aupro_slowly(*given_, limit), abs=1e-12)


@given(judged())
def test_areas_equal_scikit_learn(given_):
    y, scores = map(flat, given_)
    assert pixel_auroc(*given_) == pytest.approx(roc_auc_score(y, scores))
    assert pixel_average_precision(*given_) == pytest.approx(average_precision_score(y, scores))


@given(judged())
def test_all_at_once_are_the_same_and_a_growing_map_changes_nothing(given_):
    masks, maps = given_
    found = pixel_metrics(masks, [8 * one - 3 for one in maps])
    assert found == pytest.approx({one.__name__: one(masks, maps) for one in ALL})


def test_regions_weigh_alike_and_touch_at_corners():
    mask = np.zeros((6, 6), int)
    mask[:3, :3] = 1  # nine pixels, found at once
    mask[5, 5] = 1  # one, found after all normal ones
    scores = np.where(mask == 1, 9.0, 1.0)
    scores[5, 5] = 0.0
    assert aupro([mask], [scores]) == pytest.approx(0.5)
    assert pixel_auroc([mask], [scores]) == pytest.approx(0.9)
    mask[3, 3] = mask[4, 4] = 1  # which join the two
    assert aupro([mask], [np.where(mask == 1, scores, 1.0)]) > 0.7


def test_perfect_and_constant_maps():
    mask = np.zeros((8, 8), int)
    mask[2:4, 2:4] = 1
    assert pixel_metrics([mask], [mask * 2.0]) == {name: 1.0 for name in pixel_metrics([mask], [mask])}
    ties = pixel_metrics([mask], [np.ones((8, 8))])
    assert ties == pytest.approx({"pixel_auroc": 0.5, "pixel_average_precision": 4 / 64, "aupro": 0.15})
    assert aupro([mask], [-1.0 * mask]) == 0.0


def test_a_photo_without_a_mask_has_normal_pixels_only():
    mask, rng = np.zeros((5, 5), bool), np.random.default_rng(0)
    mask[1, 1:4] = True
    maps = rng.random((2, 5, 5))
    assert aupro([mask, None], maps) == aupro(np.stack([mask, np.zeros((5, 5), bool)]), maps)


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize(
    ("masks", "maps", "said"),
    [
        ([np.zeros((2, 2)), None], np.ones((2, 2, 2)), "got 8 and 0.*by auroc"),
        ([np.ones((2, 2))], np.ones((1, 2, 2)), "got 0 and 4"),
        ([np.eye(4)], [np.ones((2, 2))], r"mask 0 is of shape \(4, 4\) and its map of \(2, 2\).*resize"),
        ([np.eye(2), None], [np.ones((2, 2))], "2 masks and 1 maps"),
        ([255 * np.eye(2)], [np.ones((2, 2))], "0 and 1 only.*255.*mask > 0"),
        ([np.eye(2)], [np.full((2, 2), np.nan)], "map 0: expected finite"),
        ([np.eye(2)], [np.ones((2, 2, 1))], r"map 0: .*\(2, 2, 1\)"),
        ([], [], "got 0 and 0"),
    ],
)
def test_what_cannot_be_judged_is_refused(metric, masks, maps, said):
    with pytest.raises(InputError, match=said):
        metric(masks, maps)


@pytest.mark.parametrize("limit", [0, 1.1, float("nan")])
def test_a_limit_is_a_share(limit):
    with pytest.raises(InputError, match="limit"):
        aupro([np.eye(2)], [np.eye(2)], limit)
