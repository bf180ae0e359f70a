"""What outlier exposure does to densities: of images, of texts, and of tables.

Each model is trained on normal rows first, and then goes on for a few epochs with auxiliary outliers, as in Hendrycks
et al. (ICLR 2019); both are scored on the same test rows. Results hold every score.

- *images*: a model of Fashion-MNIST at 14 x 14 pixels; auxiliary are natural images in grey, once as they are and once
  as silhouettes, which are as dark and simple as the images of the test; tested are other images.
- *texts*: a model of the Penn Treebank, of which only the validation part is at hand for training, and the test part
  for testing; auxiliary are sentences of WikiText-2.
- *tables*: a flow on the normal rows of a table; auxiliary are the same rows with shuffled columns.
"""

from __future__ import annotations

import copy
import io
import json
import lzma
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.objectives import Language, make_objective
from expose.outliers import check_overlap, shuffle_columns, without_overlap
from expose_lab.figures import score_distributions
from expose_lab.metrics import auroc, outlier_detection
from expose_lab.pages import Column, Page, Rows, count, emphasised, grid, signed, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

SIDE = 14  # pixels
SHORTEST, LONGEST = 5, 20  # words of a text
MOST = 1500  # rows of a table for training
TABLES = ("cardio", "letter", "pima", "thyroid")
SIZES = {"train": 4000, "outliers": 4000, "normal": 1000, "other": 200}
NETWORK = {"batch_size": 32, "learning_rate": 2e-3, "halve_every": 2, "precision": "32"}
MODELS: dict[str, dict[str, Any]] = {
    "images": {"objective": "pixelcnn", "width": 16, "blocks": 3, "mixtures": 5, "margin": 1.0},
    "texts": {"objective": "language", "embedding": 64, "hidden": 128},
    "tables": {"objective": "flow"},
}
TRAINING: dict[str, dict[str, Any]] = {
    "images": {**NETWORK, "epochs": 6},
    "texts": {**NETWORK, "epochs": 4},
    "tables": {},
}
EXPOSED: dict[str, dict[str, Any]] = {  # changes for the training that goes on with outliers
    "images": {"epochs": 4, "learning_rate": 1e-3},
    "texts": {"epochs": 3, "learning_rate": 5e-4, "halve_every": None},
    "tables": {"learning_rate": 5e-4},
}
PICTURES = {"images": "objective-pixelcnn.svg", "texts": "objective-language.svg"}
UNITS = {"images": "bits per dimension", "texts": "bits per word"}
LEVELS = {"images": 0.95, "texts": 0.9}  # of recall, as in the paper
COLUMNS = {  # heading: which model, judged by which score
    "images": {"before": ("before", "bits"), "natural": ("natural", "bits"), "silhouettes": ("silhouettes", "bits")},
    "texts": {
        "before": ("before", "bits"),
        "after": ("WikiText-2", "bits"),
        "before, uniform": ("before", "uniform"),
        "after, uniform": ("WikiText-2", "uniform"),
    },
}
PUBLISHED = {  # tables 5 and 6 of the paper: means over its test sets, before and after
    "images": ("PixelCNN++ on CIFAR-10, auxiliary 80 Million Tiny Images", (66.6, 46.4), (65.8, 83.7), (39.9, 66.0)),
    "texts": ("words of the Penn Treebank, auxiliary WikiText-2", (48.5, 0.98), (81.2, 99.2), (44.0, 97.8)),
}
METRICS = {"fpr_at_tpr": "FPR at {:g}", "auroc": "AUROC", "average_precision": "average precision"}
Grey = NDArray[np.uint8]


class Data(NamedTuple):
    """Normal rows for training, auxiliary outliers by name, and test rows by source, the normal ones first."""

    train: Any
    outliers: dict[str, Any]
    sources: dict[str, Any]


def cells(seeds: int) -> Iterator[Row]:
    """Images and texts with each seed, tables with one."""
    for seed in range(seeds):
        yield from ({"part": part, "set": part, "seed": seed} for part in ("images", "texts"))
    yield from ({"part": "tables", "set": name, "seed": 0} for name in TABLES)


def measure(cell: Row, data: Path) -> Iterator[Row]:
    """Train without outliers, and go on from there with each kind of them; all scores, and how many overlapped."""
    part = cell["part"]
    given = rows_of(data, cell["set"]) if part == "tables" else {"images": images, "texts": texts}[part](data)
    told: dict[str, Any] = {"exposure": "blind", "contamination": 0.0, "device": "cpu", "random_state": cell["seed"]}
    detector = AnomalyDetector(objective(part), **told).fit(given.train)
    yield from scores("before", detector, given.sources)
    for name, outliers in given.outliers.items():
        kept, overlap = outliers, None
        if part != "tables":  # shuffled rows may well be normal ones
            overlap = len(check_overlap(outliers, given.sources).rows)
            kept = without_overlap(outliers, given.sources)
        changed = objective(part, **EXPOSED[part])
        after = copy.deepcopy(detector).set_params(objective=changed, warm_start=True).fit(given.train, outliers=kept)
        yield from (row | {"overlap": overlap} for row in scores(name, after, given.sources))


def objective(part: str, **changes: Any) -> Any:
    """The objective of a part with its training."""
    model = dict(MODELS[part])
    return make_objective(model.pop("objective"), **model, **{**TRAINING[part], **changes})


def scores(state: str, detector: AnomalyDetector, sources: dict[str, Any]) -> Iterator[Row]:
    """Bits by source, to a thousandth, and of texts the other score of the same weights too."""
    member: Any = detector.ensemble_.only
    for score in ("bits", "uniform") if isinstance(member, Language) else ("bits",):
        if isinstance(member, Language):
            member.score_by = score
        for name, rows in sources.items():
            found = [round(float(value), 3) for value in detector.anomaly_score(rows)]
            yield {"state": state, "score": score, "source": name, "scores": found, "overlap": None}
    if isinstance(member, Language):
        member.score_by = "bits"


# ------------------------------------------------------------------------------------------------------------ data


def draw(values: Any, n: int) -> Any:
    """So many of an array or a list at random, or all."""
    chosen = np.random.default_rng(0).permutation(len(values))[:n]
    return values[chosen] if isinstance(values, np.ndarray) else [values[place] for place in chosen]


def shrunk(grey: Grey) -> Grey:
    """Images of 28 x 28 pixels at half the side."""
    blocks = grey.reshape(len(grey), SIDE, 2, SIDE, 2).astype(np.float64)
    return np.asarray(blocks.mean((2, 4)).round(), dtype=np.uint8)


def natural(path: Path, n: int) -> Grey:
    """Images of a file of encoded images, in grey: ``(n, 14, 14)``."""
    from PIL import Image

    stored = np.load(path)
    offset, blob = stored["offset"], stored["blob"]
    found = []
    for place in draw(np.arange(len(offset) - 1), n):
        one = Image.open(io.BytesIO(blob[offset[place] : offset[place + 1]].tobytes())).convert("L")
        found.append(np.asarray(one.resize((SIDE, SIDE), Image.Resampling.BOX)))
    return np.stack(found)


def silhouettes(grey: Grey) -> Grey:
    """What is brighter than a random share of an image's pixels, at a random contrast, on black."""
    rng = np.random.default_rng(0)
    share, contrast = rng.uniform(0, 0.95, len(grey)), np.exp(rng.uniform(0, 3, (len(grey), 1, 1)))
    dark = np.array([np.quantile(image, q) for image, q in zip(grey, share, strict=True)])[:, None, None]
    return np.asarray(((grey - dark) * contrast).clip(0, 255).round(), dtype=np.uint8)


def images(data: Path) -> Data:
    """Fashion-MNIST, with natural images as auxiliary outliers."""
    folder, n = data / "images", SIZES["other"]
    test = shrunk(draw(np.load(folder / "fashion_mnist_test.npz")["X"], SIZES["normal"] + n))
    sources = {
        "Fashion-MNIST": test[:-n],
        "MNIST": shrunk(draw(np.load(folder / "mnist_test.npz")["X"], n)),
        "Fashion-MNIST, negative": 255 - test[-n:],
        "textures": natural(folder / "dtd_10classes_128.npz", n),
        "CIFAR-10": natural(folder / "cifar10_test.npz", n),
        "noise": np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE)).astype(np.uint8),
    }
    imagenet = natural(folder / "imagenet_sample_128.npz", SIZES["outliers"] // 4)
    cifar = natural(folder / "cifar100_train_part0.npz", SIZES["outliers"] - len(imagenet))
    found = np.concatenate([imagenet, cifar])
    train = shrunk(draw(np.load(folder / "fashion_mnist_train_part0.npz")["X"], SIZES["train"]))
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


def texts(data: Path) -> Data:
    """The Penn Treebank, with WikiText-2 as auxiliary outliers."""
    folder = data / "text"
    sources = {
        "Penn Treebank": read(folder / "ptb_valid_test.jsonl.xz", split="test"),
        "WMT16": read(folder / "wmt16_en.jsonl.xz"),
        "20 Newsgroups": unquoted(read(folder / "20newsgroups.jsonl.xz", split="test")),
        "IMDB": read(folder / "imdb_10k.jsonl.xz", split="test"),
        "SST": read(folder / "sst.jsonl.xz"),
        "Multi30k": read(folder / "multi30k_en.jsonl.xz"),
    }
    train = list(read(folder / "ptb_valid_test.jsonl.xz", split="valid"))
    counts = Counter(word for text in train for word in words(text))
    known = {word for word, n in counts.items() if n > 1}

    def plain(found: Sequence[str], n: int) -> list[str]:
        """Texts that are long enough, other words as ``unk``; each but once."""
        cut = (words(text) for text in found)
        kept = dict.fromkeys(
            " ".join(word if word in known else "unk" for word in text) for text in cut if len(text) >= SHORTEST
        )
        return list(draw(list(kept), n))

    auxiliary = plain(list(sentences(read(folder / "wikitext2_valid_test.jsonl.xz"))), SIZES["outliers"])
    sizes = {name: SIZES["normal" if place == 0 else "other"] for place, name in enumerate(sources)}
    tested = {name: plain(list(found), sizes[name]) for name, found in sources.items()}
    return Data(plain(train, SIZES["train"]), {"WikiText-2": auxiliary}, tested)


def rows_of(data: Path, name: str) -> Data:
    """Half of the normal rows of a table, with their columns shuffled as auxiliary outliers."""
    stored = np.load(data / "tabular" / f"{name}.npz")
    X, y = stored["X"].astype(np.float64), stored["y"]
    normal = draw(X[y == 0], 2 * MOST)
    half = len(normal) // 2
    sources = {"normal": draw(normal[half:], 500), "anomalies": draw(X[y == 1], 500)}
    return Data(normal[:half], {"shuffled": shuffle_columns(normal[:half], random_state=0)}, sources)


# ------------------------------------------------------------------------------------------------------------ page


class Part:
    """The models of images or of texts, one for each seed."""

    def __init__(self, name: str, rows: Rows) -> None:
        self.name, self.rows = name, rows.where(part=name)
        self.normal, *self.others = self.rows.each("source")
        self.states = self.rows.each("state")
        self.level = f"{100 * LEVELS[name]:g}"
        self.judged = Rows(self.judge())  # the 1:5 protocol over the sources that are not normal, for each seed
        self.unit = UNITS[name]

    def judge(self) -> Iterator[Row]:
        """A row for each column, seed and source, and their mean."""
        for column, (state, score) in COLUMNS[self.name].items():
            for seed in self.rows.each("seed"):
                found = {row["source"]: row["scores"] for row in self.rows.where(state=state, score=score, seed=seed)}
                result = outlier_detection(found.pop(self.normal), found, level=LEVELS[self.name])
                yield from (record | {"column": column, "seed": seed} for record in result.records())

    def reached(self, column: str, source: str) -> float:
        """AUROC in percent, mean over seeds."""
        return 100 * self.judged.where(column=column, source=source).mean("auroc")

    def bits(self, state: str, source: str) -> float:
        """Mean over rows and seeds."""
        return float(
            np.mean([np.mean(row["scores"]) for row in self.rows.where(state=state, score="bits", source=source)])
        )

    @property
    def overlap(self) -> str:
        """How many auxiliary outliers were rows of the test."""
        first = self.rows.where(seed=0)
        found = {state: first.where(state=state).each("overlap") for state in self.states}
        return ", ".join(f"{numbers[0]} of {state}" for state, numbers in found.items() if numbers)

    def picture(self, page: Page) -> str:
        """Histograms of the first seed's bits."""
        panels = {
            state if state == "before" else f"exposed to {state}": {
                row["source"]: row["scores"] for row in self.rows.where(state=state, score="bits", seed=0)
            }
            for state in self.states
        }
        svg = score_distributions(panels, label=self.unit)
        return page.picture(PICTURES[self.name], svg, f"{self.unit.capitalize()} by source, before and after")

    @property
    def bits_table(self) -> str:
        """Mean bits of each source."""
        lines = [
            [f"*{name}*" if name == self.normal else name, *(f"{self.bits(state, name):.2f}" for state in self.states)]
            for name in (self.normal, *self.others)
        ]
        return table([f"mean {self.unit}", *self.states], lines)

    def detection(self, metric: str) -> str:
        """A metric of each source, for each model and score."""
        lines = {f"*{s}*" if s == "mean" else s: {"source": s} for s in (*self.others, "mean")}
        columns = {column: Column(metric, {"column": column}) for column in COLUMNS[self.name]}
        best = min if metric == "fpr_at_tpr" else max
        return grid(self.judged, lines, columns, METRICS[metric].format(float(self.level)), bold="line", best=best)

    @property
    def wrong_set(self) -> str:
        """Which sources a model trained on normal rows alone finds more normal than the normal rows."""
        own = self.bits("before", self.normal)
        cheaper = {name: self.bits("before", name) for name in self.others if self.bits("before", name) < own}
        if not cheaper:
            return "No other source costs fewer bits than the normal rows before outlier exposure."
        said = "; ".join(
            f"{name} {bits:.2f} (AUROC {self.reached('before', name):.1f})" for name, bits in cheaper.items()
        )
        return (
            f"**Likelihood prefers the wrong set.** Trained on normal rows alone, the model charges those of the test "
            f"{own:.2f} {self.unit}, and less for {count(len(cheaper), 'source')} of others: {said}."
        )

    def gain(self, first: str, then: str) -> str:
        """What outliers changed in the mean, where it got worse, and what it costs the normal rows."""
        change = {name: self.reached(then, name) - self.reached(first, name) for name in (*self.others, "mean")}
        worse = [name for name in self.others if change[name] < -1]
        lost = f"more than a point on {', '.join(worse)}" if worse else "no more than a point on any"
        states = [COLUMNS[self.name][column][0] for column in (first, then)]
        cost = self.bits(states[1], self.normal) - self.bits(states[0], self.normal)
        return (
            f"*{then.capitalize()}*: the mean AUROC changes by {signed(change['mean'], 1)} points, from "
            f"{self.reached(first, 'mean'):.1f} to {self.reached(then, 'mean'):.1f}. It falls by {lost}. "
            f"The normal rows of the test cost {signed(cost, 2)} {self.unit} by it."
        )

    @property
    def published(self) -> str:
        """The paper's own figures."""
        what, *pairs = PUBLISHED[self.name]
        titles = [title.format(float(self.level)) for title in METRICS.values()]
        said = ", ".join(f"{title} {pair[0]} → {pair[1]}" for title, pair in zip(titles, pairs, strict=True))
        return f"The paper's own figures are of larger models and other test sets ({what}): {said}."


def context(page: Page) -> dict[str, Any]:
    """Images, texts and tables."""
    rows = page.rows("density")
    images_, texts_ = Part("images", rows), Part("texts", rows)
    return {
        "images": images_,
        "texts": texts_,
        "metrics": METRICS,
        "n_seeds": len(images_.rows.each("seed")),
        "finished": rows.finished,
        "minutes": round(rows.once("cpu_seconds") / 60),
        "models": MODELS,
        "training": TRAINING,
        "exposed": EXPOSED,
        "sizes": SIZES,
        "margin": MODELS["images"]["margin"],
        "more": images_.bits("before", "CIFAR-10") - images_.bits("before", images_.normal),
        **flows(rows.where(part="tables")),
    }


def flows(rows: Rows) -> dict[str, str]:
    """AUROC of the flows, before and after."""
    lines, gains = [], []
    for name in rows.each("set"):
        reached = []
        for state in ("before", "shuffled"):
            normal, odd = (rows.where(set=name, state=state, source=s)[0]["scores"] for s in ("normal", "anomalies"))
            reached.append(100 * auroc(np.repeat([0, 1], [len(normal), len(odd)]), normal + odd))
        gains.append(reached[1] - reached[0])
        lines.append([name, *(emphasised(f"{one:.1f}", one == max(reached)) for one in reached)])
    better = sum(step > 0.1 for step in gains)
    return {
        "flows": table(["table", "before", "after"], lines),
        "better": f"{better} of {count(len(gains), 'table')}",
        "mean_gain": signed(float(np.mean(gains)), 1),
    }


STUDY = Study(
    "density",
    "what outlier exposure does to densities of images, texts and tables",
    cells=cells,
    measure=measure,
    options={"seeds": 2},
    page="benchmark/density.md",
    context=context,
)
