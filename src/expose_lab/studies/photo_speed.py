"""Photos per second from files to a ranking, what of it is the encoder, and memory; beside the same method, plainly.

Photos are made: smooth textures with noise, JPEG files, all different. Ours reads and encodes them, fits ``gaussian``
and scores them, first with an empty cache of features, then with that of the first fit. The plain program does the same
with Pillow, torch and a loop: photo by photo read and resized, sixteen at a time through the network as it was
published, all features kept. Each has a process of its own and all processors; seconds are told by the clock and by the
processor, which other work on the machine hardly changes.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expose import AnomalyDetector
from expose.encoders import PhotoEncoder
from expose.encoders.efficientnet_lite import EfficientNetLite
from expose.encoders.pretrained import WEIGHTS, weights_file
from expose.threads import torch_threads
from expose_lab.pages import Page, Rows, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

NETWORK = "efficientnet-lite2"
COMPONENTS, FIT_PHOTOS, AT_ONCE, WORST, ROUNDS = 100, 256, 16, 5, 3  # as ours
LARGE = 1000  # pixels of a side: decoding takes most of the time
DISTINCT = 50  # textures; copies differ in a comment, and so in their content


def cells(photos: list[list[int]], methods: list[str]) -> Iterator[Row]:
    """Each method on so many photos of this height and width."""
    for count, height, width in photos:
        shape = {"photos": count, "height": height, "width": width}
        yield from ({"method": name, **shape} for name in methods if name != "bf16" or height < LARGE)


def measure(cell: Row, data: Path) -> Row:
    """Make the photos, and rank them."""
    torch.set_num_threads(os.cpu_count() or 1)
    with TemporaryDirectory() as folder:
        files = make(Path(folder, "photos"), cell["photos"], cell["height"], cell["width"])
        os.environ["EXPOSE_CACHE"] = str(Path(folder, "few"))
        METHODS[cell["method"]](files[:4])  # for what is imported on the way
        os.environ["EXPOSE_CACHE"] = str(Path(folder, "features"))  # a method may have turned it off
        megabytes = sum(file.stat().st_size for file in files) / 1e6
        row = METHODS[cell["method"]](files)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    machine = {"load": os.getloadavg()[0], "processors": os.cpu_count(), "threads": torch.get_num_threads()}
    return row | {"megabytes": megabytes, "peak_megabytes": peak} | machine


def make(folder: Path, count: int, height: int, width: int) -> list[Path]:
    """Files of photos."""
    from PIL import Image

    folder.mkdir()
    files = [folder / f"{number:05}.jpg" for number in range(count)]
    for first in range(min(count, DISTINCT)):
        rng = np.random.default_rng(first)
        coarse = Image.fromarray(rng.integers(40, 216, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
        grain = rng.integers(-9, 10, (height, width, 1), dtype=np.int16)
        photo = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
        for file in files[first::DISTINCT]:
            photo.save(file, quality=88, comment=file.stem.encode())
    return files


class Clock:
    """Seconds of the clock and of the processor, since it was made or read."""

    def __init__(self) -> None:
        self.then = self.now()

    @staticmethod
    def now() -> tuple[float, float]:
        """Both."""
        return time.perf_counter(), time.process_time()

    def read(self, name: str) -> Row:
        """Both, by names."""
        before, self.then = self.then, self.now()
        wall, processor = np.subtract(self.then, before).tolist()
        return {f"{name}_seconds": wall, f"{name}_processor_seconds": processor}


def ours(files: list[Path]) -> Row:
    """Fit twice, and the encoder alone."""

    def detector() -> Any:
        return AnomalyDetector("gaussian", encoder=NETWORK, contamination=0.0, random_state=0)

    clock = Clock()
    first = detector().fit(files)
    found = clock.read("first")
    second = detector().fit(files)
    found |= clock.read("second")
    os.environ["EXPOSE_CACHE"] = "off"
    clock = Clock()
    first.encoder_.transform(files)
    found |= clock.read("encoding")
    photos = np.zeros((AT_ONCE, 3, 224, 224), dtype=np.float32)
    with torch_threads(1):  # as the encoder has it, in several threads of its own
        clock = Clock()
        PhotoEncoder(NETWORK).frozen(photos)
    network = clock.read("network")["network_processor_seconds"] / AT_ONCE * len(files)
    same = bool(np.array_equal(first.training_scores_, second.training_scores_))
    return found | {"network_processor_seconds": network, "second_is_equal": same, "first_scores": first_few(first)}


def halved(files: list[Path]) -> Row:
    """Scores of a model in float32, and of the same photos encoded in bfloat16."""
    os.environ["EXPOSE_CACHE"] = "off"
    detector = AnomalyDetector("gaussian", encoder=NETWORK, contamination=0.0, random_state=0).fit(files)
    encoder: Any = detector.encoder_
    scores: dict[str, Any] = {}
    found: Row = {}
    for precision, name in (("32", "first"), ("bf16", "second")):
        encoder.precision = precision
        clock = Clock()
        parts = encoder.transform(files)
        found |= clock.read(name)
        scores[precision] = detector.fitted_.scores(parts)
    apart = np.abs(scores["bf16"] - scores["32"]) / scores["32"].std()
    agreement = correlation(scores["bf16"], scores["32"])
    return found | {"apart_mean": apart.mean(), "apart_most": apart.max(), "agreement": agreement}


def first_few(detector: Any) -> list[float]:
    """Scores of the first photos, to compare with."""
    scores: list[float] = detector.training_scores_[:DISTINCT].tolist()
    return scores


# ------------------------------------------------------------------------------------------------- the plain program


@torch.inference_mode()
def plainly(files: list[Path]) -> Row:
    """Read, describe, reduce, fit and score, one after the other."""
    clock = Clock()
    network = EfficientNetLite(NETWORK).eval()
    stored = torch.load(weights_file(WEIGHTS[NETWORK]), weights_only=True)
    network.load_state_dict({name: value for name, value in stored.items() if not name.startswith("_fc.")})
    several = range(0, len(files), AT_ONCE)
    maps = torch.cat([network(torch.stack(list(map(read, files[at : at + AT_ONCE]))))[0] for at in several])
    some = np.sort(np.random.default_rng(0).permutation(len(files))[:FIT_PHOTOS])
    patches = maps[some].flatten(0, 2)
    centre = patches.mean(dim=0)
    axes = torch.linalg.eigh(((patches - centre).T @ (patches - centre)).double()).eigenvectors.float()
    places = ((maps - centre) @ axes.flip(1)[:, :COMPONENTS]).flatten(1, 2)  # (n, P, K)
    weights = torch.ones(places.shape[:2])
    for _ in range(1 + ROUNDS):
        distance = distances(places, weights)
        weights = (1.5 * distance.median(dim=0).values / distance).clamp(max=1)
    scores = distance.topk(WORST, dim=1).values.mean(dim=1)
    return clock.read("first") | {"first_scores": scores[:DISTINCT].tolist()}


def read(file: Path) -> Tensor:
    """A photo of 224 pixels, ``(3, 224, 224)`` in [0, 1]."""
    from PIL import Image

    with Image.open(file) as image:
        small = image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(small, dtype=np.float32) / 255).permute(2, 0, 1)


def distances(places: Tensor, weights: Tensor) -> Tensor:
    """Mahalanobis distances ``(n, P)`` to a Gaussian of each place, whose covariance is shrunk to that of all."""
    total, width = weights.sum(dim=0), places.shape[2]
    away = places - (weights[..., None] * places).sum(dim=0) / total[:, None]
    scatter = torch.einsum("np,npj,npk->pjk", weights, away, away)
    pooled = scatter.sum(dim=0) / total.sum()
    shrunk = (scatter + width * pooled) / (total + width)[:, None, None]
    ridge = 1e-3 * pooled.diagonal().mean() * torch.eye(width)
    root = torch.linalg.inv(torch.linalg.cholesky((shrunk + ridge).double())).float()
    found: Tensor = torch.linalg.vector_norm(torch.einsum("pjk,npk->npj", root, away), dim=-1)
    return found


METHODS: dict[str, Callable[[list[Path]], Row]] = {"expose": ours, "plain": plainly, "bf16": halved}


# ---------------------------------------------------------------------------------------------------------- the page


def context(page: Page) -> dict[str, Any]:
    """Both methods on each size of photos."""
    found = page.rows("photo_speed")
    sizes = sorted({(row["photos"], row["height"], row["width"]) for row in found.where(method="plain")}, reverse=True)
    pairs = [[latest(found, *size, method) for method in ("expose", "plain")] for size in sizes]
    half = found.where(method="bf16")[-1]
    loads = found.values("load")
    header = ["photos", "first fit", "a second, of the cache", "photos a second", "of it the encoder", "memory"]
    against = ["photos", "plain", "expose", "ratio by the clock", "by the processor", "memory", "ranks agree"]
    return {
        "ours": table(header, [line(ours) for ours, _ in pairs]),
        "against": table(against, [compared(ours, plain) for ours, plain in pairs]),
        "threads": found[0]["threads"],
        "load": f"{min(loads):.1f} to {max(loads):.1f}",
        "day": max(found.values("finished"))[:10],
        "at_once": AT_ONCE,
        "half_photos": half["photos"],
        "half_times": half["first_processor_seconds"] / half["second_processor_seconds"],
        "half": half,
    }


def latest(found: Rows, photos: int, height: int, width: int, method: str) -> Row:
    """The last row of a cell."""
    return found.where(photos=photos, height=height, width=width, method=method)[-1]


def named(row: Row) -> str:
    """Photos for people."""
    return f"{row['photos']:,} of {row['width']} x {row['height']}"


def line(row: Row) -> list[str]:
    """What ours took."""
    return [
        named(row),
        f"{row['first_seconds']:.0f} s",
        f"{row['second_seconds']:.1f} s" + ("" if row["second_is_equal"] else " (other scores!)"),
        f"{row['photos'] / row['first_seconds']:.0f}",
        f"{row['encoding_processor_seconds'] / row['first_processor_seconds']:.0%}, the network alone "
        f"{row['network_processor_seconds'] / row['first_processor_seconds']:.0%}",
        f"{row['peak_megabytes'] / 1000:.2f} GB",
    ]


def compared(mine: Row, plain: Row) -> list[str]:
    """Ours beside the plain program."""
    ratios = [plain[f"first{clock}_seconds"] / mine[f"first{clock}_seconds"] for clock in ("", "_processor")]
    agreement = correlation(np.array(mine["first_scores"]), np.array(plain["first_scores"]))
    return [
        named(mine),
        f"{plain['first_seconds']:.0f} s",
        f"{mine['first_seconds']:.0f} s",
        *(f"{ratio:.1f}" for ratio in ratios),
        f"{plain['peak_megabytes'] / 1000:.2f} GB, ours {mine['peak_megabytes'] / 1000:.2f} GB",
        f"{agreement:.3f}",
    ]


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Of the ranks."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


STUDY = Study(
    "photo_speed",
    "photos per second from files to a ranking, and memory, beside the same method written plainly",
    cells=cells,
    measure=measure,
    options={"photos": [[1000, 512, 512], [200, 3000, 4000]], "methods": list(METHODS)},
    page="notes/photo-speed.md",
    context=context,
    apart=True,
)
