"""Which scaling of numbers should be the default? Detectors that depend on scale, on 23 real sets.

Each set is split by the disjoint protocol (real anomalies contaminate the training half and are absent from
the test): clean, with 10 % contamination, and with 10 % contamination and 2 % of the training rows having one
value a thousand times too large, as a wrong unit would make it. Labels serve for the final AUROC only.

    python benchmarks/scaling.py --data-dir folder-with-tabular-sets

kNN, PCA and a plain autoencoder run with every seed, our own `ntl` (blind, 20 epochs) with the first.
Prints a table in Markdown and writes benchmarks/results/scaling.json.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from expose import AnomalyDetector
from expose.evaluation.datasets import load
from expose.evaluation.protocols import Split, disjoint
from expose.inputs import SCALINGS, TableEncoder, as_table

SETS = (
    "abalone", "annthyroid", "arrhythmia", "breastw", "cardio", "ecoli", "glass", "ionosphere", "letter",
    "lympho", "mammography", "musk", "optdigits", "pendigits", "pima", "satellite", "satimage-2", "shuttle",
    "thyroid", "vertebral", "vowels", "wbc", "wine",
)  # fmt: skip
CONDITIONS = {
    "clean": (0.0, 0.0),
    "10 %": (0.1, 0.0),
    "10 % + wrong units": (0.1, 0.02),
}  # anomalies, rows hit
MOST_ROWS = 2_000
NTL_SEEDS = 1
Rows = NDArray[np.float32]


def knn(train: Rows, test: Rows, seed: int) -> NDArray[np.float64]:
    """Mean distance to the five nearest training rows."""
    del seed
    distances, _ = NearestNeighbors(n_neighbors=min(5, len(train))).fit(train).kneighbors(test)
    return distances.mean(axis=1)


def pca(train: Rows, test: Rows, seed: int) -> NDArray[np.float64]:
    """Squared error after projection on the components with 90 % of the variance."""
    model = PCA(n_components=0.9, svd_solver="full", random_state=seed).fit(train)
    return np.square(test - model.inverse_transform(model.transform(test))).sum(axis=1, dtype=np.float64)


def autoencoder(train: Rows, test: Rows, seed: int, epochs: int = 20, batch: int = 128) -> NDArray[np.float64]:
    """Squared error of a small network that learns to reproduce its input through 8 numbers."""
    torch.manual_seed(seed)
    width = train.shape[1]
    shapes = ((width, 64), (64, 8), (8, 64), (64, width))
    layers = [part for shape in shapes for part in (torch.nn.Linear(*shape), torch.nn.ReLU())]
    net = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    rows = torch.from_numpy(train)
    for _ in range(epochs):
        for index in torch.randperm(len(rows)).split(batch):
            optimizer.zero_grad()
            torch.square(net(rows[index]) - rows[index]).mean().backward()
            optimizer.step()
    with torch.no_grad():
        errors = torch.square(net(torch.from_numpy(test)) - torch.from_numpy(test)).sum(dim=1)
    return np.nan_to_num(errors.double().numpy(), nan=0.0, posinf=1e300)


def ntl(train: Rows, test: Rows, seed: int) -> NDArray[np.float64]:
    """Score of neural transformation learning, trained as if all rows were normal."""
    detector = AnomalyDetector("ntl", exposure="blind", contamination=0.1, epochs=20, scaling="none", random_state=seed)
    return detector.fit(train).anomaly_score(test)


DETECTORS: dict[str, Callable[[Rows, Rows, int], NDArray[np.float64]]] = {
    "kNN": knn, "PCA": pca, "autoencoder": autoencoder, "ntl": ntl,
}  # fmt: skip


def encoded(split: Split, scaling: str) -> tuple[Rows, Rows]:
    encoder = TableEncoder(scaling).fit(as_table(split.train_X))
    return encoder.transform(as_table(split.train_X)), encoder.transform(as_table(split.test_X))


def prepared(name: str, data_dir: str | None, seed: int, ratio: float, hit: float) -> Split:
    """Split a set, keep at most 2,000 rows of each part, and corrupt single values of the training rows."""
    data = load(name, data_dir)
    whole = disjoint(data.X.astype(np.float64), data.y, seed=seed, ratio=ratio)
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(len(whole.train_X))[:MOST_ROWS])
    tested = np.sort(rng.permutation(len(whole.test_X))[:MOST_ROWS])
    train, train_y = whole.train_X[kept].copy(), whole.train_y[kept]
    rows = rng.permutation(len(train))[: round(hit * len(train))]
    train[rows, rng.integers(train.shape[1], size=len(rows))] *= 1_000
    return Split(train, train_y, whole.test_X[tested], whole.test_y[tested], float(train_y.mean()))


def runs(data_dir: str | None, seeds: int, encode: dict[str, Callable[[Split], tuple[Rows, Rows]]]) -> Iterator[dict]:
    for name in SETS:
        for condition, (ratio, hit) in CONDITIONS.items():
            for seed in range(seeds):
                split = prepared(name, data_dir, seed, ratio, hit)
                if not 0 < split.test_y.sum() < len(split.test_y):
                    continue
                for scaling, encoder in encode.items():
                    train, test = encoder(split)
                    for detector, score in DETECTORS.items():
                        if detector == "ntl" and seed >= NTL_SEEDS:
                            continue
                        auroc = roc_auc_score(split.test_y, score(train, test, seed))
                        yield {
                            "set": name, "condition": condition, "seed": seed, "scaling": scaling,
                            "detector": detector, "auroc": round(float(auroc), 5),
                            "reached_ratio": round(split.reached_ratio, 5),
                        }  # fmt: skip


def _mean(rows: list[dict], **wanted: str) -> float:
    return float(np.mean([row["auroc"] for row in rows if all(row[k] == v for k, v in wanted.items())]))


def summary(rows: list[dict], scalings: tuple[str, ...]) -> str:
    """Return mean AUROC and mean rank over the sets in a Markdown table."""
    lines = ["| condition | detector | " + " | ".join(scalings) + " |", "|" + "---|" * (2 + len(scalings))]
    ranks = []
    for condition in CONDITIONS:
        for detector in DETECTORS:
            chosen = [r for r in rows if (r["condition"], r["detector"]) == (condition, detector)]
            names = sorted({r["set"] for r in chosen})
            table = np.array([[_mean(chosen, set=name, scaling=s) for s in scalings] for name in names])
            ranks.append((-table).argsort(axis=1).argsort(axis=1).mean(axis=0) + 1)
            lines.append(f"| {condition} | {detector} | " + " | ".join(f"{v:.4f}" for v in table.mean(axis=0)) + " |")
    means = [np.mean([r["auroc"] for r in rows if r["scaling"] == scaling]) for scaling in scalings]
    lines.append("| all | mean AUROC | " + " | ".join(f"**{v:.4f}**" for v in means) + " |")
    lines.append("| all | mean rank | " + " | ".join(f"{v:.2f}" for v in np.mean(ranks, axis=0)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scaling.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    encode = {scaling: (lambda split, s=scaling: encoded(split, s)) for scaling in SCALINGS}
    rows = list(runs(options.data_dir, options.seeds, encode))
    print(summary(rows, SCALINGS))
    options.out.parent.mkdir(exist_ok=True)
    facts = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(), "seeds": list(range(options.seeds)),
        "seconds": round(time.perf_counter() - start, 1), "protocol": "disjoint", "most_rows": MOST_ROWS,
        "runs": rows,
    }  # fmt: skip
    options.out.write_text(json.dumps(facts, indent=None, separators=(",", ":")).replace("},{", "},\n{") + "\n")


if __name__ == "__main__":
    main()
