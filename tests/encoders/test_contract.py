"""What every registered encoder must keep."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from expose.encoders import ENCODERS, Encoder, Layout, TableEncoder, make_encoder, register_encoder, restore_encoder
from expose.encoders.base import CLASSES
from expose.errors import InputError, MissingExtraError, ModelFolderError
from expose.kinds import KINDS, Kind, as_logs, as_video

RNG = np.random.default_rng(0)
EXAMPLES = {
    "table": pd.DataFrame({
        "amount": RNG.lognormal(size=40),
        "kind": RNG.choice(["red", "green", None], 40),
        "when": pd.date_range("2024-01-01", periods=40, freq="17h"),
        "gap": [None, *range(39)],
        "same": 1.0,
    }),
    "image": [RNG.integers(0, 256, (8, 8 + row % 3, 3), dtype=np.uint8) for row in range(12)],
    "views": {side: list(RNG.integers(0, 256, (12, 8, 9, 3), dtype=np.uint8)) for side in ("top", "side")},
    "series": pd.DataFrame(RNG.normal(size=(60, 2)), index=pd.date_range("2026-01-01", periods=60, freq="h")),
    "log": as_logs(
        [f"2026-05-01 12:{n // 4:02}:{n % 4}0 INFO job {n} took {n % 7} ms" for n in range(78)], "1m"
    ),
    "video": as_video(RNG.integers(0, 256, (12, 16, 24, 3), dtype=np.uint8)),
    "text": ["a cat sat", "the dog", "", "one bird, two birds"] * 5,
}  # fmt: skip


def cases() -> list[tuple[str, str]]:
    return [(name, kind) for name in sorted(ENCODERS) for kind in KINDS if ENCODERS[name]().encodes in ("", kind)]


@pytest.fixture(params=cases(), ids="-".join)
def case(request) -> tuple[Encoder, Kind, object]:
    """A fitted encoder, and the samples it was fitted on."""
    name, kind_name = request.param
    kind = KINDS[kind_name]
    samples = kind.samples(EXAMPLES[kind_name])
    try:
        return make_encoder(name, kind).fit(samples), kind, samples
    except MissingExtraError as error:
        pytest.skip(str(error))


def quiet(encoder: Encoder, samples: object) -> np.ndarray:
    """Encode, and fail if there was anything to warn about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return encoder.transform(samples)


def test_parts_are_finite_float32_of_the_layout(case):
    encoder, _, samples = case
    rows = quiet(encoder, samples)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    assert (len(rows), rows.shape[-1]) == (len(samples), encoder.layout.n_values)
    assert rows.ndim == (2 if encoder.layout.pooling == "largest" else 3)
    assert np.isfinite(rows).all()
    assert len(np.unique(rows, axis=0)) > 1


def test_samples_are_encoded_one_by_one(case):
    encoder, _, samples = case
    rows = quiet(encoder, samples)
    order = np.random.default_rng(1).permutation(len(samples))
    np.testing.assert_array_equal(quiet(encoder, samples.take(order)), rows[order])
    np.testing.assert_array_equal(quiet(encoder, samples.take(slice(3, 4))), rows[3:4])
    assert quiet(encoder, samples.take(slice(0, 0))).shape == (0, *rows.shape[1:])


def test_one_sample_is_enough(case):
    encoder, _, samples = case
    one = samples.take(slice(0, 1))
    again = type(encoder)().fit(one)
    assert np.isfinite(again.transform(one)).all()
    assert again.layout.form == encoder.layout.form


def test_state_restores_the_encoder_to_the_bit(case, restored):
    encoder, kind, samples = case
    twin = restored(encoder)
    assert type(twin) is type(encoder)
    assert quiet(twin, samples).tobytes() == quiet(encoder, samples).tobytes()
    for attribute in ("layout", "groups", "notes"):
        assert getattr(twin, attribute) == getattr(encoder, attribute)
    assert restored(twin).state().meta == encoder.state().meta
    assert restore_encoder(encoder.family, encoder.state(), kind).layout == encoder.layout


def test_groups_cover_the_layout_in_order(case):
    encoder, _, _ = case
    if not encoder.groups:
        return  # nothing in a sample has a name
    ends = [0, *(place.stop for _, place in encoder.groups)]
    assert [place.start for _, place in encoder.groups] == ends[:-1]
    assert ends[-1] == encoder.layout.n_values


def test_fitting_again_forgets(case):
    encoder, _, samples = case
    expected = quiet(encoder, samples)
    encoder.fit(samples.take(slice(0, 5))).fit(samples)
    np.testing.assert_array_equal(quiet(encoder, samples), expected)


# ---------------------------------------------------------------------------------------------------- choosing


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_each_kind_has_a_default_encoder(kind):
    encoder = make_encoder(None, kind)
    assert encoder.encodes == kind.name
    assert encoder is not make_encoder(None, kind)


def test_an_objective_may_prefer_an_encoder_unless_one_is_chosen():
    assert make_encoder(None, KINDS["table"], "two-scalings").scalings == ("quantile", "bounded")
    assert make_encoder("robust", KINDS["table"], "two-scalings").scalings == ("robust",)


def test_an_encoder_is_copied():
    mine = TableEncoder(["robust", "standard"])
    made = make_encoder(mine, KINDS["table"])
    assert made is not mine
    assert made.scalings == mine.scalings


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("none", r"encoder must be one of \['bounded', 'characters'.*got 'none'"),
        (
            "pixels",
            "ImageEncoder encodes samples of kind 'image'; got tables. Encoders of tables: 'bounded', 'quantile'",
        ),
        (TableEncoder, r"got the class itself. Write TableEncoder\(\)"),
        (3, "an object with fit and transform; got a int"),
    ],
)
def test_what_is_no_encoder_is_refused(choice, message):
    with pytest.raises(InputError, match=message):
        make_encoder(choice, KINDS["table"])


def test_a_new_encoder_is_one_class():
    @register_encoder("lengths")
    class Lengths(Encoder):
        def fit(self, samples):
            self.layout = Layout("vector", (1,))
            return self

        def transform(self, samples):
            return np.array([[len(text)] for text in samples.values], dtype=np.float32)

    try:
        kind = KINDS["text"]
        encoder = make_encoder("lengths", kind)
        assert encoder.fit(kind.samples(["a", "bcd"])).transform(kind.samples(["ab"])).tolist() == [[2.0]]
        assert encoder.groups == []  # nothing in a text has a name
        assert list(encoder.notes) == []
        with pytest.raises(TypeError, match=r"Lengths must define state\(\)"):
            encoder.state()
    finally:
        del ENCODERS["lengths"], CLASSES["lengths"]


def test_an_encoder_that_is_not_registered_is_named():
    with pytest.raises(ModelFolderError, match="encoder 'lengths', which is not registered"):
        restore_encoder("lengths", TableEncoder().fit([[1.0], [2.0]]).state(), KINDS["table"])


def test_base_methods_say_what_to_define():
    for act in (lambda: Encoder().fit([]), lambda: Encoder().transform([]), lambda: Encoder.restore(None)):
        with pytest.raises(TypeError, match="Encoder must define"):
            act()
