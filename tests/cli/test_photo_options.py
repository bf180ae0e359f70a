"""``--encoder`` and ``--tiles``: how photos are described."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Run
from PIL import Image


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey noise, one with a bright corner."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(24):
        pixels = rng.integers(90, 110, (32, 32, 3), dtype=np.uint8)
        if number == 7:
            pixels[:8, :8] = 255
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny model of transformers."""
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=12, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    folder = tmp_path_factory.mktemp("network")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.Dinov2Model(config).save_pretrained(folder)
    return str(folder)


def encoder_in(model: Path) -> dict[str, object]:
    stored: dict[str, object] = json.loads((model / "model.json").read_text())["model"]["encoder"]["state"]
    return stored


def test_a_network_by_name_and_tiles_reach_the_model(run: Run, photos: Path, network: str, tmp_path: Path) -> None:
    fitted = run(
        "fit", photos, "--out", tmp_path / "m", "--encoder", network, "--tiles", "2", "--contamination", "0.05"
    )
    assert fitted.exit_code == 0, fitted.output
    stored = encoder_in(tmp_path / "m")
    assert (stored["network"], stored["tiles"], stored["give"]) == (network, 2, "grid")
    assert "07.png" in next(line for line in fitted.output.splitlines() if line.split()[:1] == ["1"])
    scored = run("score", tmp_path / "m", photos, "--out", tmp_path / "scores.csv")
    assert scored.exit_code == 0, scored.output


def test_names_alone_will_do(run: Run, photos: Path, network: str, tmp_path: Path) -> None:
    fitted = run("fit", photos, "--out", tmp_path / "m", "--encoder", network, "--objective", "neighbours")
    assert fitted.exit_code == 0, fitted.output
    assert encoder_in(tmp_path / "m")["give"] == "vector"


@pytest.mark.parametrize("name", ["pixels", "standard", "efficientnet-lite9"])
def test_tiles_go_with_networks_of_photos(run: Run, photos: Path, tmp_path: Path, name: str) -> None:
    result = run("fit", photos, "--out", tmp_path / "m", "--tiles", "2", "--encoder", name)
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert (
        "--tiles goes with a pretrained network of photos, --encoder efficientnet-lite0, efficientnet-lite0-stage4, "
        "efficientnet-lite2, or a vision model" in said
    )
    assert f"got --encoder {name}." in said


def test_pixels_alone_name_what_goes_with_them(run: Run, photos: Path, tmp_path: Path) -> None:
    result = run("fit", photos, "--out", tmp_path / "m", "--encoder", "pixels")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "encoder 'pixels'. Objectives for it: 'autoencoder'," in said
    assert "Or leave the encoder out: 'local-global' goes with 'efficientnet-lite2'." in said
    assert "neighbours" not in said


def test_engines_take_tables(run: Run, photos: Path, tmp_path: Path) -> None:
    model, quick = tmp_path / "m", ["--objective", "autoencoder", "--encoder", "pixels", "--set", "epochs=1"]
    for more in (["--engine", "dask"], ["--sample-rows", "10"], ["--memory", "1GB"]):
        result = run("fit", photos, "--out", model, *more, *quick)
        assert result.exit_code == 2
        said = " ".join(result.stderr.split())
        assert "samples of rows and engines are for tables; got images, which are fitted all together" in said
        assert "Leave out --engine" in said
    assert run("fit", photos, "--out", model, *quick).exit_code == 0
    for source in (photos, photos / "*.png"):
        result = run("score", model, source, "--engine", "dask", "--out", tmp_path / "scores.csv")
        assert result.exit_code == 2
        said = " ".join(result.stderr.split())
        assert "--engine takes Parquet tables; got images. Leave out --engine; or give a Parquet table" in said
    assert not (tmp_path / "scores.csv").exists()


def test_tables_have_no_tiles(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n" + "1,2\n3,4\n" * 20)
    result = run("fit", tmp_path / "data.csv", "--out", tmp_path / "m", "--tiles", "2")
    assert result.exit_code == 2
    assert "PhotoEncoder encodes samples of kind 'image'; got tables" in " ".join(result.stderr.split())
