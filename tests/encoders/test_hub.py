"""Vision models of transformers, made here and read from a folder: nothing is downloaded."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
import sys

import numpy as np
import pytest
import torch

from expose import AnomalyDetector, load
from expose.encoders import PhotoEncoder, make_encoder
from expose.encoders.hub import HubNetwork, check_reached, hub_network, number_of
from expose.encoders.pretrained import pretrained
from expose.errors import InputError, MissingExtraError, ModelFolderError
from expose.kinds import KINDS

transformers = pytest.importorskip("transformers")
huggingface_hub = pytest.importorskip("huggingface_hub")
HfHubHTTPError = pytest.importorskip("huggingface_hub.errors").HfHubHTTPError
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
PHOTOS = [np.random.default_rng(row).integers(0, 256, (40, 30, 3), dtype=np.uint8) for row in range(6)]
MODELS = {
    "vit": lambda: transformers.ViTModel(transformers.ViTConfig(**SMALL, image_size=32, patch_size=8)),
    "dinov2": lambda: transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, image_size=28, patch_size=14)),
    "registers": lambda: transformers.Dinov2WithRegistersModel(
        transformers.Dinov2WithRegistersConfig(**SMALL, image_size=28, patch_size=14, num_register_tokens=3)
    ),
    "swin": lambda: transformers.SwinModel(
        transformers.SwinConfig(
            image_size=32, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4
        )
    ),
    "resnet": lambda: transformers.ResNetModel(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1])
    ),
    "convnext": lambda: transformers.ConvNextModel(
        transformers.ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1], image_size=64)
    ),
    "clip": lambda: transformers.CLIPModel(
        transformers.CLIPConfig(
            text_config={**SMALL, "vocab_size": 50}, vision_config={**SMALL, "image_size": 32, "patch_size": 8}
        )
    ),
}
FORMS = {  # places and width of maps, width of vectors, of photos of 56 pixels
    "vit": ((7, 7), 16, 16),
    "dinov2": ((4, 4), 16, 16),
    "registers": ((4, 4), 16, 16),
    "resnet": ((4, 4), 12 + 16, 20),
    "convnext": ((3, 3), 12 + 16, 20),
    "clip": ((7, 7), 16, 16),
}


@pytest.fixture
def saved(tmp_path):
    """Save a tiny model, with random weights, and tell its folder."""

    def save(family: str, seed: int = 0, name: str = "model", **processing: object) -> str:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            MODELS[family]().save_pretrained(tmp_path / name)
        if processing:
            (tmp_path / name / "preprocessor_config.json").write_text(json.dumps(processing))
        return str(tmp_path / name)

    return save


@pytest.mark.parametrize("family", FORMS)
def test_patches_and_photo_are_described(saved, family):
    network = pretrained(saved(family), side=56)
    assert (network.places, network.n_map, network.n_vector) == FORMS[family]
    photo = np.zeros((1, 3, 56, 56), dtype=np.float32)
    photo[..., 40:, 40:] = 1  # down right
    maps, vectors = network(photo)
    changed = np.abs(maps - network(np.zeros_like(photo)).maps).sum(axis=-1)[0]
    assert np.unravel_index(changed.argmax(), changed.shape) > (1, 1)
    assert np.isfinite(vectors).all()


def test_tokens_that_join_patches_are_a_square(saved):
    network = pretrained(saved("swin"))
    assert network.places == (8, 8)
    assert network.size == (32, 32)


@pytest.mark.parametrize("family", ["dinov2", "resnet"])
def test_maps_are_those_of_the_model(saved, family):
    """Compared with the model's own outputs, without what stands around it here."""
    folder = saved(
        family, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.2, 0.25], crop_size={"height": 56, "width": 56}
    )
    photo = np.random.default_rng(0).random((1, 3, 56, 56), dtype=np.float32)
    maps, vectors = pretrained(folder)(photo)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    pixels = (torch.from_numpy(photo) - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / torch.tensor([0.2, 0.2, 0.25])[
        :, None, None
    ]
    with torch.inference_mode():
        said = model(pixels, output_hidden_states=True)
    if family == "dinov2":
        np.testing.assert_allclose(maps.reshape(1, 16, 16), said.last_hidden_state[:, 1:], atol=1e-5)
        np.testing.assert_allclose(vectors, said.last_hidden_state[:, 0], atol=1e-5)
    else:
        np.testing.assert_allclose(vectors, said.pooler_output[..., 0, 0], atol=1e-5)
        smoothed = torch.nn.functional.avg_pool2d(said.hidden_states[3], 3, 1, 1, count_include_pad=False)
        np.testing.assert_allclose(maps[..., 12:], smoothed.permute(0, 2, 3, 1), atol=1e-5)


def test_sides_are_whole_patches(saved):
    folder = saved("dinov2", size={"shortest_edge": 40})
    assert pretrained(folder).size == (28, 28)
    assert pretrained(folder, side=70).size == (70, 70)
    assert pretrained(folder, side=3).size == (14, 14)


def test_torchvision_is_not_needed(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert pretrained(saved("vit", do_normalize=False)).places == (4, 4)


def test_a_detector_takes_a_name_and_its_model_stays_with_these_weights(saved, tmp_path):
    folder = saved("dinov2")
    detector = AnomalyDetector(encoder=folder, contamination=0.0, random_state=0).fit(PHOTOS * 4)
    assert detector.encoder_.layout.form == "grid"
    detector.save(tmp_path / "fitted")
    again = load(tmp_path / "fitted")
    np.testing.assert_array_equal(again.anomaly_score(PHOTOS), detector.anomaly_score(PHOTOS))
    saved("dinov2", seed=1)
    with pytest.raises(ModelFolderError, match=r"weights of .* are not those that the model was made with"):
        load(tmp_path / "fitted")
    shutil.rmtree(folder)
    with pytest.raises(ModelFolderError, match=r"there is no pretrained network|cannot be had"):
        load(tmp_path / "fitted")


def test_what_a_photo_says_does_not_depend_on_its_company(saved):
    encoder = PhotoEncoder(saved("vit")).fit(PHOTOS)
    together = encoder.transform(PHOTOS)
    for row in range(len(PHOTOS)):
        assert encoder.transform(PHOTOS[row : row + 1]).tobytes() == together[row : row + 1].tobytes()


def test_weights_that_are_missing_are_refused(saved, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = saved("dinov2")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "encoder.layer.1" not in name}
    save_file(kept, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="lacks weights"):
        pretrained(folder)


def test_a_copy_never_looks_through_other_weights(saved):
    """They may lie in the same folder by the time that a pickled detector is read again."""
    encoder = PhotoEncoder(saved("vit")).fit(PHOTOS)
    kept = pickle.dumps(encoder)
    assert pickle.loads(kept).transform(PHOTOS).tobytes() == encoder.transform(PHOTOS).tobytes()
    saved("vit", seed=1)
    with pytest.raises(InputError, match="are not those that the model was made with"):
        pickle.loads(kept).transform(PHOTOS)
    assert encoder.fit(PHOTOS).transform(PHOTOS).shape == (6, 16 * 16 + 16)  # a new fit may take them


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.safetensors", "half", "cannot be had"),
        ("preprocessor_config.json", "[1]", "cannot be had"),
        ("preprocessor_config.json", '{"image_mean": [0.5]}', "of the image processor of .* are of no use"),
        ("preprocessor_config.json", '{"size": "big"}', "of the image processor of .* are of no use"),
    ],
)
def test_a_damaged_folder_is_refused_by_name(saved, tmp_path, file, content, message):
    name = saved("vit")
    (tmp_path / "model" / file).write_text(content)
    with pytest.raises(InputError, match=message):
        PhotoEncoder(name).fit(PHOTOS)


def test_a_model_of_texts_is_refused(tmp_path):
    config = transformers.BertConfig(**SMALL, vocab_size=20)
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    with pytest.raises(InputError, match="BertModel, which takes no photos"):
        hub_network(str(tmp_path / "bert"))


def test_a_name_that_cannot_be_reached_says_what_to_do(monkeypatch):
    def unreachable(*given: object, **named: object) -> None:
        raise OSError("We couldn't connect to the hub.\nMore lines.")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url: None)  # it was reached
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", unreachable)
    with pytest.raises(InputError, match=r"'nobody/nothing' cannot be had \(We couldn't connect to the hub\.\)"):
        AnomalyDetector(encoder="nobody/nothing").fit(PHOTOS)


def test_offline_the_hub_is_asked_once_and_in_silence(monkeypatch):
    """Six times, with a line for each, in half a minute, was what the libraries do by themselves."""
    asked = []

    def unreachable(url: str) -> None:
        asked.append(url)
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 8s [Retry 5/5].")
        raise ConnectionError("[Errno 111] Connection refused")

    heard, library = [], logging.getLogger("huggingface_hub")
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", lambda *given, **named: asked.append("again"))
    listener, level = logging.Handler(), library.level
    monkeypatch.setattr(listener, "emit", heard.append)
    library.addHandler(listener)
    try:
        with pytest.raises(InputError, match=r"'nobody/nothing' cannot be had \(\[Errno 111\].*or a folder that save_"):
            hub_network("nobody/nothing")
    finally:
        library.removeHandler(listener)
    assert len(asked) == 1
    assert asked[0].endswith("nobody/nothing/resolve/main/config.json")
    assert heard == []
    assert library.level == level


def test_what_is_in_a_folder_or_kept_from_before_is_not_asked_for(saved, monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", None)  # whoever calls it fails
    check_reached(saved("vit"), None)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file, revision: str(tmp_path / file))
    check_reached("somebody/something", "abc")


def test_an_answer_of_the_hub_is_left_to_transformers(monkeypatch):
    class GatedError(HfHubHTTPError):
        def __init__(self) -> None:
            Exception.__init__(self, "401")

    def answered(url: str) -> None:
        raise GatedError

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", answered)
    check_reached("somebody/private", None)


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"expose\[hub\]"):
        hub_network("some/model")


def test_tables_take_no_such_encoder():
    with pytest.raises(InputError, match="PhotoEncoder encodes samples of kind 'image'"):
        make_encoder("facebook/dinov2-small", KINDS["table"])


def test_the_pooler_is_no_part_of_the_digest(saved):
    """It is often not trained, and then drawn at random with every loading."""
    folder = saved("vit")
    network = hub_network(folder)
    again = hub_network(folder)
    with torch.no_grad():
        again.model.pooler.dense.weight.add_(1)
    assert HubNetwork(again.model, {}).sha256 == network.sha256
    with torch.no_grad():
        again.model.layernorm.weight.add_(1)
    assert HubNetwork(again.model, {}).sha256 != network.sha256


@pytest.mark.parametrize(("size", "number"), [(224, 224), ({"height": 8, "width": 6}, 6), ({"shortest_edge": None}, 0)])
def test_sizes_are_read_in_all_ways_that_models_write_them(size, number):
    assert number_of(size) == number
