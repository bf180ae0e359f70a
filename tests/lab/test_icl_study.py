"""The study of ICL: variants differ in one thing, and are compared where all of them were measured."""

import pytest

from expose_lab.contenders import EXPOSURES, ours
from expose_lab.pages import Rows
from expose_lab.studies.icl import CHANGES, Changed, shared


@pytest.mark.parametrize("name", CHANGES)
def test_a_variant_is_the_published_rule_with_what_is_changed(name):
    [usual] = ours(["icl"], ["soft"], "published")
    made = Changed("published", "icl", "soft", name)("wine", 66, 13)
    expected = usual.make("wine", 66, 13)
    assert made.objective.settings() == {**expected.objective.settings(), **CHANGES[name]}
    assert (made.exposure, made.encoder) == (expected.exposure, expected.encoder)


def test_no_two_variants_share_a_row_of_results():
    assert len({Changed("published", "icl", "soft", name).identity for name in CHANGES}) == len(CHANGES)


def test_only_splits_that_all_variants_were_measured_on_are_compared():
    def row(detector: str, seed: int, exposure: str) -> dict[str, object]:
        return {"detector": detector, "dataset": "wine", "seed": seed, "exposure": exposure}

    whole = [row(name, 0, exposure) for name in ("a", "b") for exposure in EXPOSURES]
    half = [row("a", 1, exposure) for exposure in EXPOSURES] + [row("b", 1, "blind")]
    assert shared(Rows(whole + half)) == whole
