"""Thresholds by name, and objects of one's own."""

import sys

import numpy as np
import pytest

from expose.decide import Mixture, Tail, check_threshold, describe, draw_line
from expose.errors import InputError

RNG = np.random.default_rng(0)
CLEAN = RNG.exponential(size=2000)
PLANTED = np.concatenate([RNG.exponential(size=1900), RNG.normal(15, 1, size=100)])


def line(threshold, scores=PLANTED, calibration=None):
    return draw_line(threshold, scores, 0.05, calibration)


def test_mixture_parts_planted_anomalies_and_leaves_one_group_whole():
    assert (PLANTED[1900:] > line("mixture")).all()
    assert (PLANTED[:1900] > line("mixture")).mean() < 0.005
    for scores in (CLEAN, RNG.normal(size=2000), RNG.gumbel(size=2000)):
        assert line("mixture", scores) == scores.max()


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_rules_do_not_depend_on_the_unit(scale):
    for name in ("mixture", "tail"):
        assert line(name, PLANTED * scale - 3 * scale) == pytest.approx((line(name) - 3) * scale, rel=1e-2)


def test_tail_keeps_its_rate_and_reaches_beyond_what_was_seen():
    new = np.random.default_rng(1).exponential(size=200_000)
    assert (new > line("tail", CLEAN)).mean() == pytest.approx(0.01, abs=0.004)
    assert (new > line("tail:0.001", CLEAN)).mean() == pytest.approx(0.001, abs=0.0008)
    assert line("tail:0.00001", CLEAN) > CLEAN.max()
    assert line("tail:0.001", CLEAN) > line("tail:0.01", CLEAN) > line("tail:0.05", CLEAN)


def test_tail_flags_few_planted_anomalies_that_are_far_and_rare():
    scores = np.concatenate([CLEAN, [60.0, 70.0]])
    assert (scores[-2:] > line("tail:0.001", scores)).all()
    assert (scores[:-2] > line("tail:0.001", scores)).mean() < 0.003


@pytest.mark.parametrize("name", ["mixture", "tail"])
@pytest.mark.parametrize("scores", [np.ones(500), np.array([1.0]), np.arange(5.0), np.repeat([1.0, 2.0], 200)])
def test_nothing_to_tell_flags_nothing_or_the_upper_value(name, scores):
    assert scores.min() <= line(name, scores) <= scores.max()


def test_conformal_asks_for_calibration():
    with pytest.raises(InputError, match="calibration=5"):
        line("conformal")
    assert line("conformal:0.1", calibration=np.arange(9.0)) == 8.0


class Above:
    """A threshold on the score, as users may write it."""

    def __init__(self, line):
        self.line = line

    def fit(self, scores):
        self.seen = scores
        return self

    def predict(self, scores):
        return (scores >= self.line).astype(int)


def test_the_line_of_an_own_object_is_found_exactly():
    rule = Above(7.25)
    assert line(rule) == np.nextafter(7.25, -np.inf)
    assert not hasattr(rule, "seen")  # the user's object is not touched


@pytest.mark.parametrize(("place", "flagged"), [(1e300, 0), (float("inf"), 0), (-1e300, 2000), (-float("inf"), 2000)])
def test_an_own_object_that_flags_none_or_all(place, flagged):
    found = line(Above(place))
    assert abs(found) <= sys.float_info.max
    assert (found < PLANTED).sum() == flagged


class Odd(Above):
    """Something that is not a threshold."""

    def predict(self, scores):
        return {
            "signs": np.where(scores > 3, -1, 1),
            "below": scores < 3,
            "short": scores[:1] > 3,
            "company": scores > np.median(scores) if len(scores) > 1 else scores > 1e9,
            "text": np.full(len(scores), "yes"),
            "lost": np.full(len(scores), np.nan),
        }[self.line]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("signs", "predict.scores. == -1"),
        ("below", "flags a score of .* but not one of"),
        ("short", "one value per score"),
        ("company", "alone otherwise than among all"),
        ("text", "one value per score"),
        ("lost", "one value per score"),
    ],
)
def test_an_own_object_that_is_no_threshold_is_refused(kind, says):
    with pytest.raises(InputError, match=says):
        line(Odd(kind))


@pytest.mark.parametrize(
    "value",
    ["high", "tail:0.1", "tail:x", "tail:", "mixture:0.1", "conformal:1", "conformal:nan", 1.0, True, object(), Above],
)
def test_what_is_no_threshold(value):
    with pytest.raises(ValueError, match="threshold"):
        check_threshold(value)


def test_rules_in_words():
    words = [describe(rule, 0.05, np.ones(300)) for rule in (None, 0.1, "mixture", "tail", "conformal:0.01", Above(1))]
    assert words[0] == "contamination: 0.05 of the training rows"
    assert words[1] == "share: 0.1 of the training rows"
    assert "two groups" in words[2]
    assert "rate of 0.01" in words[3]
    assert "at most 0.01, by 300" in words[4]
    assert words[5] == "own: Above"
    assert describe(None, 0.05, None, "training", "images") == "contamination: 0.05 of the training images"


def test_classes_are_rules_themselves():
    assert line(Mixture()) == pytest.approx(line("mixture"))
    assert line(Tail(0.001)) == pytest.approx(line("tail:0.001"))
