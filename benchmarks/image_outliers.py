"""Outlier exposure on images: what it gains, what it costs, which term and score, and which auxiliary set helps.

    python benchmarks/image_outliers.py --data-dir DIR

Every trained model is judged on images of kinds that no training saw, one for five normal ones, and its result is
written as soon as it is there: a call that was stopped goes on. The committed results come from the small network on
one CPU core. The published ones (WRN-40-2, 50,000 images, 100 epochs) need a GPU, and more images than DIR has:

    python benchmarks/image_outliers.py --data-dir DIR --network wrn-40-2 --device cuda --train-rows 9000 --epochs 100 \
        --tune-epochs 10 --optimizer sgd --tune-rate 0.001 --augment --out wide.json

``python benchmarks/images_page.py`` writes docs/benchmark/images.md from the results.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from expose import OutlierExposureClassifier
from expose.errors import ExposeWarning
from expose.evaluation import OutlierResults, outlier_calibration, outlier_detection, softmax_confidence
from expose.objectives.classification import anomaly_score
from expose.outliers import IMAGE_MAKERS, check_overlap, jigsaw, mean_of_two, speckle, uniform_noise
from image_sources import DATA_SEED, Bytes, Problem, Rows, arrays, form_like, problem, some

OUT = Path(__file__).parent / "results" / "image_outliers.json"
HELD_ROWS, TEST_ROWS, OUTLIER_ROWS, BATCH_ROWS = 500, 1000, 300, 64
SEEDS, FEWER_SEEDS = (0, 1, 2), (0, 1)
UNEQUAL = 0.1  # rows of the smallest class over those of the largest
SIZES, VARIETY, VARIETY_ROWS = (10, 100, 1000), (1, 5, 20, 100), 100
SAME_SIZE = 1000  # as many of each kind; natural images of that number are among the sizes
MAKERS: dict[str, Callable[..., Bytes]] = {
    "uniform noise": uniform_noise,
    "speckle": speckle,
    "mean of two": mean_of_two,
    "jigsaw": jigsaw,
}
NOISE = ("gaussian_noise", "bernoulli_noise", "uniform_noise", "blobs")
DETECTION = {"fpr_at_tpr": "fpr", "auroc": "auroc", "average_precision": "ap"}
CALIBRATION = ("rms", "mad", "soft_f1")


class Setting(NamedTuple):
    """One way to train: from nothing or from the baseline, exposed to what, by which term."""

    name: str
    start: str = "baseline"  # or "nothing", or "nothing" with unequal classes and their baseline
    outliers: str | None = "auxiliary"
    term: str = "uniform"
    hardest: float = 1.0


MAIN = (
    Setting("baseline", start="nothing", outliers=None),
    Setting("tuned without outliers", outliers=None),
    Setting("tuned"),
    Setting("from scratch", start="nothing"),
    Setting("tuned, made ones too", outliers="made"),
    Setting("from scratch, made ones too", start="nothing", outliers="made"),
)
TERMS = (
    Setting("energy", term="energy"),
    Setting("hardest half", hardest=0.5),
    Setting("confidence, no outliers", outliers=None, term="confidence"),
    Setting("confidence", term="confidence"),
    Setting("background", term="background"),
)
UNEQUAL_CLASSES = (
    Setting("unequal: baseline", start="nothing", outliers=None),
    Setting("unequal: uniform"),
    Setting("unequal: prior", term="prior"),
)
AUXILIARY = tuple(
    Setting(name, outliers=name)
    for name in (
        *(f"size {size}" for size in SIZES),
        *(f"classes {classes}" for classes in VARIETY),
        *(f"kind {kind}" for kind in (*MAKERS, "sibling", "natural and made")),
    )
)


def auxiliary(name: str, given: Problem, seed: int, data: Path) -> Bytes:
    """An auxiliary set by name; which images and classes are in it depends on the seed."""
    kind, _, what = name.partition(" ")
    match kind:
        case "auxiliary":
            return given.auxiliary.X
        case "made":
            return natural_and_made(given, len(given.auxiliary.X), seed)
        case "size":
            return some(given.auxiliary, int(what), seed).X
        case "classes":
            return of_classes(given.auxiliary, int(what), seed)
        case _:
            return of_kind(what, given, seed, data)


def of_classes(pool: Rows, count: int, seed: int) -> Bytes:
    """Equally many images of so many classes by chance."""
    rng = np.random.default_rng([DATA_SEED, seed])
    classes = rng.permutation(np.unique(pool.y))[:count]
    chosen = [rng.permutation(np.flatnonzero(pool.y == one))[: VARIETY_ROWS // count] for one in classes]
    drawn: Bytes = pool.X[np.concatenate(chosen)]
    return drawn


def of_kind(kind: str, given: Problem, seed: int, data: Path) -> Bytes:
    """Images of one kind, always as many."""
    if kind == "sibling":
        return form_like(given.train.X, some(arrays(data / "images", "mnist_test"), SAME_SIZE, seed).X)
    if kind == "natural and made":
        return natural_and_made(given, SAME_SIZE, seed)
    return MAKERS[kind](given.train.X, SAME_SIZE, random_state=seed)


def natural_and_made(given: Problem, count: int, seed: int) -> Bytes:
    """One half natural images, one half by all makers that change normal images: no pure noise, and no blobs."""
    grey = given.train.X.ndim == 3
    makers = [
        make for name, make in IMAGE_MAKERS.items() if name not in NOISE and not (grey and name == "channel_ghosts")
    ]
    each = count // 2 // len(makers)
    made = [make(given.train.X, each, random_state=seed) for make in makers]
    return np.concatenate([some(given.auxiliary, count - each * len(makers), seed).X, *made])


def unequal(rows: Rows) -> Rows:
    """Rows whose classes shrink geometrically, from all to a tenth."""
    classes, counts = np.unique(rows.y, return_counts=True)
    shares = UNEQUAL ** np.linspace(0, 1, len(classes))
    kept = [
        np.flatnonzero(rows.y == one)[: int(share * counts.min())] for one, share in zip(classes, shares, strict=True)
    ]
    return rows.take(np.sort(np.concatenate(kept)))


class Study:
    """The problems of one call, and how its models are trained."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.data = Path(options.data_dir or os.environ["EXPOSE_DATA"])
        self.load = lru_cache(maxsize=3)(self.load)  # type: ignore[method-assign]
        self.baseline = lru_cache(maxsize=4)(self.baseline)  # type: ignore[method-assign]

    def load(self, name: str, thinned: bool = False) -> Problem:
        """A problem, perhaps with unequal classes."""
        if thinned:
            whole = self.load(name)
            parts = {part: unequal(getattr(whole, part)) for part in ("train", "held_out", "test")}
            return Problem(whole.name, **parts, auxiliary=whole.auxiliary, outliers=whole.outliers)
        return problem(name, self.data, (self.options.train_rows, HELD_ROWS, TEST_ROWS, OUTLIER_ROWS))

    def baseline(self, name: str, seed: int, thinned: bool = False) -> OutlierExposureClassifier:
        """The classifier that never saw an outlier, which others start from."""
        given = self.load(name, thinned)
        return self.new(self.options.network, seed).fit(given.train.X, given.train.y)

    def new(self, network: str | nn.Module, seed: int, **parameters: Any) -> OutlierExposureClassifier:
        """All that the models have in common; a given network is tuned."""
        o = self.options
        tuned = not isinstance(network, str)
        return OutlierExposureClassifier(
            network,
            epochs=o.tune_epochs if tuned else o.epochs,
            learning_rate=o.tune_rate if tuned else None,
            optimizer=o.optimizer,
            batch_size=BATCH_ROWS,
            augment=o.augment,
            device=o.device,
            random_state=seed,
            **parameters,
        )

    def trained(self, setting: Setting, name: str, seed: int, thinned: bool) -> OutlierExposureClassifier:
        """A model under a setting."""
        given = self.load(name, thinned)
        if setting.start == "nothing" and setting.outliers is None:
            return self.baseline(name, seed, thinned)
        network: str | nn.Module = self.options.network
        if setting.start == "baseline":
            more = int(setting.term in ("confidence", "background"))
            network = widened(self.baseline(name, seed, thinned).network_, more)
        model = self.new(network, seed, terms=setting.term, hardest=setting.hardest)
        outliers = None if setting.outliers is None else auxiliary(setting.outliers, given, seed, self.data)
        return model.fit(given.train.X, given.train.y, outliers=outliers)

    def result(self, setting: Setting, name: str, seed: int) -> dict[str, Any]:
        """Train and judge."""
        thinned = setting.name.startswith("unequal")
        started = time.process_time()
        model = self.trained(setting, name, seed, thinned)
        seconds = time.process_time() - started
        given = self.load(name, thinned)
        facts = {"problem": name, "setting": setting.name, "seed": seed, "cpu_seconds": round(seconds, 1)}
        return facts | judged(model, given, setting.term)


def widened(network: nn.Module, more: int) -> nn.Module:
    """A network with so many outputs more, which are 0 at first."""
    if more:
        place, old = [(name, part) for name, part in network.named_modules() if isinstance(part, nn.Linear)][-1]
        parent, _, own = place.rpartition(".")
        new = nn.Linear(old.in_features, old.out_features + more)
        with torch.no_grad():
            new.weight.zero_()[: old.out_features] = old.weight
            new.bias.zero_()[: old.out_features] = old.bias
        setattr(network.get_submodule(parent), own, new)
    return network


def judged(model: OutlierExposureClassifier, given: Problem, term: str) -> dict[str, Any]:
    """Class accuracy, detection by every score and source, calibration at the temperature of held-out normal rows."""
    model.calibrate(given.held_out.X, given.held_out.y)
    logits = {name: model.decision_function(X) for name, X in given.outliers.items()}
    normal = model.decision_function(given.test.X)
    found: dict[str, Any] = {}
    for score in ("msp", "entropy", "energy"):
        found[score] = detection(scored(score, normal), {name: scored(score, z) for name, z in logits.items()})
    if term in ("confidence", "background"):
        own = {name: model.anomaly_score(X, term) for name, X in given.outliers.items()}
        found[term] = detection(model.anomaly_score(given.test.X, term), own)
    temperature = model.temperature_
    confidence, predicted = softmax_confidence(normal, temperature)
    correct = model.classes_[predicted] == given.test.y
    doubts = {name: softmax_confidence(z, temperature)[0] for name, z in logits.items()}
    calibration = outlier_calibration(correct, confidence, doubts)
    return {
        "accuracy": round(float(correct.mean()), 5),
        "temperature": round(temperature, 4),
        "scores": found,
        "calibration": {
            "normal": {name: round(calibration.normal_only.mean[name], 5) for name in CALIBRATION},
            "mixed": {name: round(calibration.mean.mean[name], 5) for name in CALIBRATION},
        },
    }


def scored(name: str, logits: Any) -> Any:
    """Anomaly scores from the logits of the classes."""
    z = torch.from_numpy(logits)
    return anomaly_score(name, z, z.new_zeros(len(z)), z.shape[1]).numpy()


def detection(normal: Any, outliers: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Metrics by source."""
    results: OutlierResults = outlier_detection(normal, outliers)
    return {
        name: {short: round(source.measured.mean[metric], 5) for metric, short in DETECTION.items()}
        for name, source in results.sources.items()
    }


def queue(problems: list[str]) -> Iterator[tuple[str, Setting, int]]:
    """What is to be measured, the most telling first."""
    further = {name: [*TERMS] for name in problems}
    if "fashion-mnist" in problems:
        further["fashion-mnist"] = [*AUXILIARY, *TERMS, *UNEQUAL_CLASSES]
    first, *others = SEEDS
    yield from ((name, setting, first) for name in problems for setting in MAIN)
    yield from ((name, setting, first) for name in problems for setting in further[name])
    yield from ((name, setting, seed) for seed in others for name in problems for setting in MAIN)
    for seed in FEWER_SEEDS[1:]:
        yield from ((name, setting, seed) for name in problems for setting in further[name])


def main() -> None:
    """Measure what is lacking in the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder that has the folder images; default: EXPOSE_DATA")
    parser.add_argument("--problems", nargs="+", default=["fashion-mnist", "cifar-10"])
    parser.add_argument("--network", default="conv")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--train-rows", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=6, help="from nothing")
    parser.add_argument("--tune-epochs", type=int, default=2)
    parser.add_argument("--optimizer", default="adam")
    parser.add_argument("--tune-rate", type=float, default=5e-4)
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ExposeWarning)
    torch.set_num_threads(1)
    study = Study(options)
    facts = started(study)
    done = {(run["problem"], run["setting"], run["seed"]) for run in facts["runs"]}
    for name, setting, seed in queue(options.problems):
        if (name, setting.name, seed) not in done:
            run = study.result(setting, name, seed)
            facts["runs"].append(run)
            facts["finished"] = datetime.now(UTC).date().isoformat()
            write(options.out, facts)
            mean = np.mean([source["auroc"] for source in run["scores"]["entropy"].values()])
            print(f"{run['cpu_seconds']:6.0f} s  {name}  seed {seed}  {setting.name}: AUROC {mean:.3f}", flush=True)


def started(study: Study) -> dict[str, Any]:
    """The results there are, if of the same settings; else those of a first call, with the check for overlap."""
    options = study.options
    kept = ("network", "device", "train_rows", "epochs", "tune_epochs", "optimizer", "tune_rate", "augment")
    settings = {name: getattr(options, name) for name in kept}
    settings |= {"batch_rows": BATCH_ROWS, "held_rows": HELD_ROWS, "test_rows": TEST_ROWS, "outliers": OUTLIER_ROWS}
    if options.out.exists():
        facts: dict[str, Any] = json.loads(options.out.read_text(encoding="utf-8"))
        if facts["settings"] != settings:
            raise SystemExit(f"{options.out} holds results of {facts['settings']}; give another --out.")
        return facts
    overlap = {}
    for name in options.problems:
        given = study.load(name)
        against = {**given.outliers, "normal training rows": given.train.X, "normal test rows": given.test.X}
        found = check_overlap(given.auxiliary.X, against)
        overlap[name] = {"auxiliary": len(given.auxiliary.X), "found": len(found.rows), "sets": list(against)}
    return {"settings": settings, "overlap": overlap, "runs": []}


def write(path: Path, facts: dict[str, Any]) -> None:
    """JSON with one run a line, whole or not at all."""
    runs = ",\n".join(json.dumps(run) for run in facts["runs"])
    text = json.dumps(facts | {"runs": []}).replace('"runs": []', f'"runs": [\n{runs}\n]') + "\n"
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)


if __name__ == "__main__":
    main()
