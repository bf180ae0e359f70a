"""Which share of anomalies to assume of photos, where nobody says one: `contamination="auto"` beside 10 % for all.

Vectors of the pretrained network, `ntl` with the exposure "soft", which is its default, 30 epochs. One class or product
is normal; test photos, and anomalies of the training photos, are others. The gain is the area under the test's ROC less
that of blind training with the same seeds, in points.

- *one class of many*: anomalies are photos of other classes of the same set. CIFAR-10 and Fashion-MNIST.
- *one texture of many*: the same with few photos of each.
- *one product*: magnetic tiles, of which some have a defect.

How alike photos are is told by the mean cosine of their vectors, which no label enters. The line between varied photos
and those of one product was drawn on these sets and on embeddings of MVTec's products by two other networks: no photos
were kept apart for it. Among classes of Fashion-MNIST the most uniform lie above it when clean, and below with a tenth
of others among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import FunctionTransformer

from expose import AnomalyDetector
from expose.encoders.photo import PhotoEncoder
from expose.exposure.contamination import VARIED, varied_contamination
from expose.objectives import NTL
from expose_lab.pages import Page, Rows, percent, table
from expose_lab.store import Row
from expose_lab.studies.base import Study
from expose_lab.studies.image_sources import Labelled, arrays, encoded

SHARES = (0.0, 0.1)
ASSUMED = (0.1,)
EPOCHS = 30
TRAIN, TEST = 600, 300  # normal photos at most; of test photos as many anomalous ones
TEXTURES = (0, 6)
FILES = {"cifar10": "cifar10_train_part0", "textures": "dtd_10classes_128", "tiles": "magnetic_tile_128"}
TITLES = {"cifar10": "CIFAR-10", "fashion": "Fashion-MNIST", "textures": "texture", "tiles": "magnetic tiles"}


class Split(NamedTuple):
    """Photos to train and to test on, the latter with their truth."""

    train: NDArray[np.uint8]
    anomalies: NDArray[np.uint8]
    test: NDArray[np.uint8]
    truth: NDArray[np.int64]


def cells(seeds: int, classes: list[int]) -> Iterator[Row]:
    """Each class of each set, and the product."""
    normal = [(name, number) for name in ("cifar10", "fashion") for number in classes]
    normal += [("textures", number) for number in TEXTURES]
    for name, number in [*normal, ("tiles", 0)]:
        yield from ({"photos": name, "normal": number, "seed": seed} for seed in range(seeds))


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """A row for each share of anomalies, and each that is assumed."""
    torch.set_num_threads(1)
    split = photos(cell["photos"], cell["normal"], data / "images", cell["seed"])
    network = PhotoEncoder(give="vector").fit(split.train)
    normal, anomalies, test = (network.transform(some) for some in (split.train, split.anomalies, split.test))
    for share in SHARES:
        rows = np.concatenate([normal, anomalies[: round(share / (1 - share) * len(normal))]])
        likeness = network.likeness(rows)
        assert likeness is not None
        estimate = detector(1, cell["seed"], "auto").fit(rows).contamination_estimate_
        auto = varied_contamination(likeness, NTL.varied_share, estimate).value
        for assumed in (0.0, *ASSUMED, *({auto} - {*ASSUMED})):
            fitted = detector(EPOCHS, cell["seed"], assumed).fit(rows)
            auroc = roc_auc_score(split.truth, fitted.anomaly_score(test))
            yield {"share": share, "assumed": assumed, "auto": auto, "likeness": likeness, "auroc": float(auroc)}


def detector(epochs: int, seed: int, contamination: float | str) -> AnomalyDetector:
    """Of vectors as the network gives them."""
    objective = NTL(epochs=epochs, batch_size=128, learning_rate=4e-4)
    own = FunctionTransformer()
    return AnomalyDetector(objective, encoder=own, contamination=contamination, random_state=seed, device="cpu")


def photos(name: str, normal: int, folder: Path, seed: int) -> Split:
    """Normal and other photos by chance; nothing is both trained and tested on."""
    rng = np.random.default_rng(seed)
    whole = source(name, folder)
    good = rng.permutation(np.flatnonzero(whole.y == normal))  # 0 of the tiles are those without a defect
    odd = rng.permutation(np.flatnonzero(whole.y != normal))
    count = min(TRAIN, 2 * len(good) // 3)
    held, most = good[count : count + TEST], round(max(SHARES) / (1 - max(SHARES)) * count)
    tested = odd[most : most + len(held)]
    truth = np.concatenate([np.zeros(len(held), np.int64), np.ones(len(tested), np.int64)])
    return Split(whole.X[good[:count]], whole.X[odd[:most]], whole.X[np.concatenate([held, tested])], truth)


def source(name: str, folder: Path) -> Labelled:
    """All photos of a set, with their classes."""
    return encoded(folder, FILES[name]) if name in FILES else arrays(folder, "fashion_mnist_train_part0")


def context(page: Page) -> dict[str, Any]:
    """Likeness, area and gains for each class."""
    rows = page.rows("photo_shares")
    header = ["photos", "mean cosine", *(f"{percent(share)}: {what}" for share in SHARES for what in COLUMNS)]
    kinds = list(dict.fromkeys((row["photos"], row["normal"]) for row in rows))
    lines = [line(rows, name, number) for name, number in kinds]
    varied = rows.where(photos=("cifar10", "fashion"))
    return {
        "table": table(header, lines),
        "line": VARIED,
        "share": percent(NTL.varied_share),
        "gain": f"{100 * gain(varied.where(share=max(SHARES))):+.1f}",
        "clean": f"{100 * gain(varied.where(share=0.0)):+.1f}",
        "product": f"{100 * gain(rows.where(photos='tiles', share=0.0)):+.1f}",
        "fixed": f"{100 * gain(rows.where(photos='tiles', share=0.0), NTL.varied_share):+.1f}",
        "most": f"{max(varied.values('likeness')):.2f}",
        "tiles": f"{min(rows.where(photos='tiles').values('likeness')):.2f}",
        "seeds": len(rows.each("seed")),
        "train": TRAIN,
        "date": rows.finished,
    }


COLUMNS = ("blind", *(f"{percent(assumed)} assumed" for assumed in ASSUMED), "auto")


def line(rows: Rows, name: str, number: int) -> list[str]:
    """A class: how alike its photos are, and at each share the area if blind, and the gains."""
    mine = rows.where(photos=name, normal=number)
    cells_ = [TITLES[name] + (f" {number}" if name != "tiles" else ""), f"{mine.where(share=0.0).mean('likeness'):.2f}"]
    for share in SHARES:
        here = mine.where(share=share)
        gains = [*(gain(here, assumed) for assumed in ASSUMED), gain(here)]
        cells_ += [f"{100 * here.where(assumed=0.0).mean('auroc'):.1f}", *(f"{100 * one:+.1f}" for one in gains)]
    return cells_


def gain(rows: Rows, assumed: float | None = None) -> float:
    """Mean gain over blind training; without a share, that of the one "auto" takes."""
    chosen = Rows(row for row in rows if row["assumed"] == (row["auto"] if assumed is None else assumed))
    return chosen.mean("auroc") - rows.where(assumed=0.0).mean("auroc")


STUDY = Study(
    "photo_shares",
    "the share of anomalies to assume of photos where nobody says one",
    cells=cells,
    measure=measure,
    options={"seeds": 1, "classes": [0, 1, 3, 5, 7, 8]},
    page="",  # "benchmark/photo-shares.md" once it has been measured on the code as it stands
    context=context,
)
