"""Measure what outlier exposure does to densities: of images, of texts, and of tables.

Run ``python benchmarks/density_outliers.py --data-dir DIR`` (some ten minutes of one core), then ``python
benchmarks/density_page.py``. Each model is trained on normal rows first, and then goes on for a few epochs with
auxiliary outliers, as in Hendrycks et al. (ICLR 2019); both are scored on the same test rows. Results hold every score.

- *images*: a model of Fashion-MNIST; auxiliary are natural images in grey, tested are others.
- *texts*: a model of the Penn Treebank, of which only the validation part is at hand for training, and the test part
  for testing; auxiliary are sentences of WikiText-2.
- *tables*: a flow on the normal rows of a table; auxiliary are the same rows with each column shuffled on its own.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from expose import AnomalyDetector
from expose.objectives import Flow, Language, PixelCNN

RESULTS = Path(__file__).parent / "results" / "density.json"
SEEDS = (0, 1, 2)
SIDE = 28  # pixels
SHORTEST, LONGEST = 5, 24  # words of a text
MOST = 1500  # rows of a table for training
TABLES = ("cardio", "letter", "optdigits", "satellite", "thyroid", "pima")
ROWS = {"train": 4000, "outliers": 4000, "normal": 1000, "other": 200}
IMAGES = {"epochs": 6, "batch_size": 32, "learning_rate": 2e-3, "halve_every": 2}
TEXTS = {"epochs": 6, "batch_size": 32, "learning_rate": 2e-3, "halve_every": 3}
EXPOSED = {"epochs": 2, "learning_rate": 5e-4, "halve_every": None}
MODELS = {"images": {"width": 16, "blocks": 3, "mixtures": 5, "margin": 1.0}, "texts": {"embedding": 64, "hidden": 128}}
Grey = NDArray[np.uint8]


def draw(values: Any, count: int, seed: int = 0) -> Any:
    """So many of an array or a list at random, or all."""
    chosen = np.random.default_rng(seed).permutation(len(values))[:count]
    return values[chosen] if isinstance(values, np.ndarray) else [values[place] for place in chosen]


def natural(path: Path, count: int) -> Grey:
    """Images of a file of encoded images, in grey: ``(count, 28, 28)``."""
    stored = np.load(path)
    offset, blob = stored["offset"], stored["blob"]
    found = []
    for place in draw(np.arange(len(offset) - 1), count):
        one = Image.open(io.BytesIO(blob[offset[place] : offset[place + 1]].tobytes())).convert("L")
        found.append(np.asarray(one.resize((SIDE, SIDE), Image.Resampling.BOX)))
    return np.stack(found)


def images(folder: Path) -> tuple[Grey, Grey, dict[str, Grey]]:
    """Training images, auxiliary outliers, and test images by source, the normal ones first."""
    n = ROWS["other"]
    test = draw(np.load(folder / "fashion_mnist_test.npz")["X"], ROWS["normal"] + n)
    sources = {
        "Fashion-MNIST": test[:-n],
        "MNIST": draw(np.load(folder / "mnist_test.npz")["X"], n),
        "Fashion-MNIST, negative": 255 - test[-n:],
        "textures": natural(folder / "dtd_10classes_128.npz", n),
        "CIFAR-10": natural(folder / "cifar10_test.npz", n),
        "noise": np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE)).astype(np.uint8),
    }
    imagenet = natural(folder / "imagenet_sample_128.npz", ROWS["outliers"] // 4)
    cifar = natural(folder / "cifar100_train_part0.npz", ROWS["outliers"] - len(imagenet))
    train = draw(np.load(folder / "fashion_mnist_train_part0.npz")["X"], ROWS["train"])
    return train, np.concatenate([imagenet, cifar]), sources


def words(text: str) -> list[str]:
    """Lower-case words without punctuation, numbers as 0: the form in which the Penn Treebank comes, for all sources."""
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


def texts(folder: Path) -> tuple[list[str], list[str], dict[str, list[str]]]:
    """Training texts, auxiliary outliers, and test texts by source, the normal ones first."""
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
    return plain(list(read(folder / "ptb_valid_test.jsonl.xz", split="valid")), ROWS["train"]), auxiliary, tested


def table(path: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Half of the normal rows, the same with shuffled columns, and the other half and the anomalies."""
    stored = np.load(path)
    X, y = stored["X"].astype(np.float64), stored["y"]
    normal = draw(X[y == 0], 2 * MOST)
    half = len(normal) // 2
    sources = {"normal": draw(normal[half:], 500), "anomalies": draw(X[y == 1], 500)}
    return normal[:half], np.random.default_rng(0).permuted(normal[:half], axis=0), sources


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


def before_and_after(objective: Any, settings: dict[str, Any], exposed: dict[str, Any], data: Any) -> dict[str, Any]:
    """Train without outliers, go on with them; all scores."""
    train, outliers, sources = data
    detector = AnomalyDetector(objective, exposure="blind", contamination=0.0, device="cpu", **settings).fit(train)
    found = {"before": scores(detector, sources)}
    detector.set_params(warm_start=True, **exposed).fit(train, outliers=outliers)
    return found | {"after": scores(detector, sources)}


def runs(folder: Path) -> Iterator[dict[str, Any]]:
    """One record for each model that is trained."""
    for seed in SEEDS:
        data: Any = images(folder / "images")
        made = before_and_after(PixelCNN(**MODELS["images"]), IMAGES | {"random_state": seed}, EXPOSED, data)
        yield {"study": "images", "seed": seed, "scores": made}
        data = texts(folder / "text")
        made = before_and_after(Language(**MODELS["texts"]), TEXTS | {"random_state": seed}, EXPOSED, data)
        yield {"study": "texts", "seed": seed, "scores": made}
    for name in TABLES:
        data = table(folder / "tabular" / f"{name}.npz")
        made = before_and_after(Flow(), {"random_state": 0}, {"epochs": None, "learning_rate": 5e-4}, data)
        yield {"study": name, "seed": 0, "scores": made}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    folder = parser.parse_args().data_dir
    began, facts = time.process_time(), []
    for record in runs(folder):
        facts.append(record)
        print(record["study"], record["seed"], f"{time.process_time() - began:.0f} s", flush=True)
    settings = {"images": IMAGES, "texts": TEXTS, "exposed": EXPOSED, "models": MODELS, "rows": ROWS}
    result = {"finished": time.strftime("%Y-%m-%d"), "seconds": round(time.process_time() - began)}
    RESULTS.write_text(json.dumps(result | {"settings": settings, "runs": facts}) + "\n", encoding="utf-8")
