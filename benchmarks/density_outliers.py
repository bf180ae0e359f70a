"""Measure what outlier exposure does to densities: of images, of texts, and of tables.

Run ``python benchmarks/density_outliers.py --data-dir DIR`` (some ten minutes of one core), then ``python
benchmarks/density_page.py``. Each model is trained on normal rows first, and then goes on for a few epochs with
auxiliary outliers, as in Hendrycks et al. (ICLR 2019); both are scored on the same test rows. Results hold every score;
remove them to measure anew.

- *images*: a model of Fashion-MNIST at 14 x 14 pixels; auxiliary are natural images in grey, once as they are and once
  as silhouettes, which are as dark and simple as the images of the test; tested are other images.
- *texts*: a model of the Penn Treebank, of which only the validation part is at hand for training, and the test part
  for testing; auxiliary are sentences of WikiText-2.
- *tables*: a flow on the normal rows of a table; auxiliary are the same rows with shuffled columns.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import lzma
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from expose import AnomalyDetector
from expose.objectives import Flow, Language, PixelCNN
from expose.outliers import check_overlap, shuffle_columns, without_overlap

RESULTS = Path(__file__).parent / "results" / "density.json"
SEEDS = (0, 1)
SIDE = 14  # pixels
SHORTEST, LONGEST = 5, 20  # words of a text
MOST = 1500  # rows of a table for training
TABLES = ("cardio", "letter", "pima", "thyroid")
ROWS = {"train": 4000, "outliers": 4000, "normal": 1000, "other": 200}
IMAGES = {"epochs": 6, "batch_size": 32, "learning_rate": 2e-3, "halve_every": 2}
TEXTS = {"epochs": 4, "batch_size": 32, "learning_rate": 2e-3, "halve_every": 2}
EXPOSED = {  # the training that goes on with outliers
    "images": {"epochs": 4, "learning_rate": 1e-3, "halve_every": 2},
    "texts": {"epochs": 3, "learning_rate": 5e-4, "halve_every": None},
    "tables": {"epochs": None, "learning_rate": 5e-4},
}
MODELS = {"images": {"width": 16, "blocks": 3, "mixtures": 5, "margin": 1.0}, "texts": {"embedding": 64, "hidden": 128}}
Grey = NDArray[np.uint8]


class Data(NamedTuple):
    """Normal rows for training, auxiliary outliers by name, and test rows by source, the normal ones first."""

    train: Any
    outliers: dict[str, Any]
    sources: dict[str, Any]


def draw(values: Any, count: int, seed: int = 0) -> Any:
    """So many of an array or a list at random, or all."""
    chosen = np.random.default_rng(seed).permutation(len(values))[:count]
    return values[chosen] if isinstance(values, np.ndarray) else [values[place] for place in chosen]


def shrunk(images: Grey) -> Grey:
    """Images of 28 x 28 pixels at half the side."""
    blocks = images.reshape(len(images), SIDE, 2, SIDE, 2).astype(np.float64)
    return np.asarray(blocks.mean((2, 4)).round(), dtype=np.uint8)


def natural(path: Path, count: int) -> Grey:
    """Images of a file of encoded images, in grey: ``(count, 14, 14)``."""
    stored = np.load(path)
    offset, blob = stored["offset"], stored["blob"]
    found = []
    for place in draw(np.arange(len(offset) - 1), count):
        one = Image.open(io.BytesIO(blob[offset[place] : offset[place + 1]].tobytes())).convert("L")
        found.append(np.asarray(one.resize((SIDE, SIDE), Image.Resampling.BOX)))
    return np.stack(found)


def silhouettes(images: Grey) -> Grey:
    """What is brighter than a random share of an image's pixels, at a random contrast, on black."""
    rng = np.random.default_rng(0)
    share, contrast = rng.uniform(0, 0.95, len(images)), np.exp(rng.uniform(0, 3, (len(images), 1, 1)))
    dark = np.array([np.quantile(image, q) for image, q in zip(images, share, strict=True)])[:, None, None]
    return np.asarray(((images - dark) * contrast).clip(0, 255).round(), dtype=np.uint8)


def images(folder: Path) -> Data:
    """Fashion-MNIST, with natural images as auxiliary outliers."""
    n = ROWS["other"]
    test = shrunk(draw(np.load(folder / "fashion_mnist_test.npz")["X"], ROWS["normal"] + n))
    sources = {
        "Fashion-MNIST": test[:-n],
        "MNIST": shrunk(draw(np.load(folder / "mnist_test.npz")["X"], n)),
        "Fashion-MNIST, negative": 255 - test[-n:],
        "textures": natural(folder / "dtd_10classes_128.npz", n),
        "CIFAR-10": natural(folder / "cifar10_test.npz", n),
        "noise": np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE)).astype(np.uint8),
    }
    imagenet = natural(folder / "imagenet_sample_128.npz", ROWS["outliers"] // 4)
    cifar = natural(folder / "cifar100_train_part0.npz", ROWS["outliers"] - len(imagenet))
    found = np.concatenate([imagenet, cifar])
    train = shrunk(draw(np.load(folder / "fashion_mnist_train_part0.npz")["X"], ROWS["train"]))
    return Data(train, {"natural": found, "silhouettes": silhouettes(found)}, sources)


def words(text: str) -> list[str]:
    """Lower-case words without punctuation, numbers as 0: the form of the Penn Treebank, for all sources."""
    text = re.sub(r" @(.)@ ", r"\1", re.sub(r"\bN\b", "0", text)).lower().replace("<unk>", "unk")
    text = re.sub(r"\d[\d.,]*", " 0 ", text).replace(" n't", "n't").replace(" '", "'")
    return re.findall(r"[a-z]+|0", text)[:LONGEST]


def read(path: Path, **fields: str) -> Iterator[str]:
    """Texts of a file whose other fields have these values."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if all(record[key] == value for key, value in fields.items()):
                yield record["text"]


def unquoted(posts: Iterator[str]) -> Iterator[str]:
    """Posts without what they quote, and without the lines that say whom, by which they would be known at once."""
    for post in posts:
        yield " ".join(line for line in post.splitlines() if not re.search(r"^\W*>|writes|wrote|@", line))


def sentences(paragraphs: Iterator[str]) -> Iterator[str]:
    """Sentences of WikiText-2, whose headings are set in equality signs."""
    for paragraph in paragraphs:
        if not paragraph.startswith("="):
            yield from paragraph.split(" . ")


def texts(folder: Path) -> Data:
    """The Penn Treebank, with WikiText-2 as auxiliary outliers."""
    sources = {
        "Penn Treebank": read(folder / "ptb_valid_test.jsonl.xz", split="test"),
        "WMT16": read(folder / "wmt16_en.jsonl.xz"),
        "20 Newsgroups": unquoted(read(folder / "20newsgroups.jsonl.xz", split="test")),
        "IMDB": read(folder / "imdb_10k.jsonl.xz", split="test"),
        "SST": read(folder / "sst.jsonl.xz"),
        "Multi30k": read(folder / "multi30k_en.jsonl.xz"),
    }
    train = [words(text) for text in read(folder / "ptb_valid_test.jsonl.xz", split="valid")]
    counts = Counter(word for text in train for word in text)
    known = {word for word, count in counts.items() if count > 1}

    def plain(found: Sequence[str], count: int) -> list[str]:
        """Texts that are long enough, other words as ``unk``; each but once."""
        cut = (words(text) for text in found)
        kept = dict.fromkeys(
            " ".join(word if word in known else "unk" for word in text) for text in cut if len(text) >= SHORTEST
        )
        return list(draw(list(kept), count))

    auxiliary = plain(list(sentences(read(folder / "wikitext2_valid_test.jsonl.xz"))), ROWS["outliers"])
    sizes = {name: ROWS["normal" if place == 0 else "other"] for place, name in enumerate(sources)}
    tested = {name: plain(list(found), sizes[name]) for name, found in sources.items()}
    own = plain(list(read(folder / "ptb_valid_test.jsonl.xz", split="valid")), ROWS["train"])
    return Data(own, {"WikiText-2": auxiliary}, tested)


def table(path: Path) -> Data:
    """Half of the normal rows of a table, with their columns shuffled as auxiliary outliers."""
    stored = np.load(path)
    X, y = stored["X"].astype(np.float64), stored["y"]
    normal = draw(X[y == 0], 2 * MOST)
    half = len(normal) // 2
    sources = {"normal": draw(normal[half:], 500), "anomalies": draw(X[y == 1], 500)}
    return Data(normal[:half], {"shuffled": shuffle_columns(normal[:half], random_state=0)}, sources)


def rounded(scores: Any) -> list[float]:
    """Scores to a thousandth of a bit."""
    return [round(float(score), 3) for score in scores]


def scores(detector: AnomalyDetector, sources: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Bits by source, and of texts the other score too."""
    found = {"bits": {name: rounded(detector.anomaly_score(rows)) for name, rows in sources.items()}}
    member: Any = detector.ensemble_.only
    if isinstance(member, Language):  # the same weights, judged by the other score
        member.score_by = "uniform"
        found["uniform"] = {name: rounded(detector.anomaly_score(rows)) for name, rows in sources.items()}
        member.score_by = "bits"
    return found


def before_and_after(objective: Any, settings: dict[str, Any], exposed: dict[str, Any], data: Data) -> dict[str, Any]:
    """Train without outliers, and go on from there with each kind of them; all scores, and how many overlapped."""
    detector = AnomalyDetector(objective, exposure="blind", contamination=0.0, device="cpu", **settings)
    detector.fit(data.train)
    found: dict[str, Any] = {"before": scores(detector, data.sources)}
    overlap = {}
    for name, outliers in data.outliers.items():
        kept = outliers
        if not isinstance(objective, Flow):  # shuffled rows may well be normal ones
            overlap[name] = len(check_overlap(outliers, data.sources).rows)
            kept = without_overlap(outliers, data.sources)
        after = copy.deepcopy(detector).set_params(warm_start=True, **exposed)
        found[name] = scores(after.fit(data.train, outliers=kept), data.sources)
    return {"scores": found, "overlap": overlap}


def runs(folder: Path) -> Iterator[tuple[str, int, Callable[[], dict[str, Any]]]]:
    """Study, seed, and what trains and scores its model."""
    image, text, exposed = PixelCNN(**MODELS["images"]), Language(**MODELS["texts"]), EXPOSED
    for seed in SEEDS:
        own = {"random_state": seed, "precision": "32"}
        yield "images", seed, partial(made, image, IMAGES | own, exposed["images"], images, folder / "images")
        yield "texts", seed, partial(made, text, TEXTS | own, exposed["texts"], texts, folder / "text")
    for name in TABLES:
        file = folder / "tabular" / f"{name}.npz"
        yield name, 0, partial(made, Flow(), {"random_state": 0}, exposed["tables"], table, file)


def made(
    objective: Any, settings: dict[str, Any], exposed: dict[str, Any], load: Callable[[Path], Data], path: Path
) -> dict[str, Any]:
    """One record of the results, without its name."""
    began = time.process_time()
    found = before_and_after(objective, settings, exposed, load(path))
    return found | {"seconds": round(time.process_time() - began)}


def main(folder: Path) -> None:
    """Go on with what is missing in the results, and write them after each model."""
    facts = json.loads(RESULTS.read_text(encoding="utf-8"))["runs"] if RESULTS.exists() else []
    done = {(run["study"], run["seed"]) for run in facts}
    settings = {"images": IMAGES, "texts": TEXTS, "exposed": EXPOSED, "models": MODELS, "rows": ROWS}
    for study, seed, measure in runs(folder):
        if (study, seed) not in done:
            record = {"study": study, "seed": seed} | measure()
            facts.append(record)
            result = {"finished": time.strftime("%Y-%m-%d"), "settings": settings, "runs": facts}
            RESULTS.write_text(json.dumps(result) + "\n", encoding="utf-8")
            means = {
                state: {name: round(float(np.mean(values)), 2) for name, values in found["bits"].items()}
                for state, found in record["scores"].items()
            }
            print(study, seed, record["seconds"], "s", means, record["overlap"], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What outlier exposure does to densities.")
    parser.add_argument("--data-dir", type=Path, required=True)
    main(parser.parse_args().data_dir)
