"""Run the benchmark behind docs/benchmark: every part is one Parquet file in benchmarks/results.

    python benchmarks/run_study.py PART... --data-dir DIR [--jobs 2] [--out benchmarks/results]

Parts, in the order of their use:

- *paper_tables*: the paper's table, NTL and ICL under four exposures, its protocol at 10 %, five seeds; large sets with
  at most 10,000 training and 20,000 test normals, the others whole.
- *disjoint*: the honest protocol at 0, 1, 5, 10, 20 and 30 %, three seeds, at most 5,000 training normals: NTL at all
  ratios, ICL at 0 and 10 %, and nine classical detectors, each as it is and trimmed.
- *sensitivity*: assumed against true ratio, 0 to 40 %, on sets with enough anomalies.
- *embeddings*: image features, 10 and 20 %.
- *large*: the large sets whole, one seed.
- *auto*: the default detector, told no share, on all tables at 0, 10, 20 and 30 %, three seeds; beside *disjoint*.
- *auto_paper*: the default under the paper's protocol, told no share, three seeds.
- *default_ablation*: the default with one part of its objective left out or changed at a time (`default_parts`), at 0,
  10 and 20 %, two seeds, at most 600 training and 1,200 test normals. In one process: variants share distances.
- *ablation*: NTL with one setting changed at a time: why a first rough version lost to classical detectors.

A part that was killed goes on where it was; what is there already is not repeated unless code or settings changed.
Afterwards ``python benchmarks/study_pages.py`` writes the pages.
"""

from __future__ import annotations

import argparse
import itertools
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import default_parts
from expose import AnomalyDetector
from expose.evaluation import EMBEDDINGS, EXTRA_TABLES, PAPER_SEEDS, PAPER_TABLES, baselines, bench, ours
from expose.evaluation.baselines import BASELINES
from expose.objectives import NTL

TABLES = [name for name in PAPER_TABLES if name != "speech"]  # speech is not to be had
LARGE = ["cover", "http", "kdd", "kddrev", "mulcross", "shuttle"]
PLENTY = ["breastw", "ionosphere", "pima", "satellite"]  # half of their anomalies suffice for 40 % and more
RATIOS = [0.0, 0.01, 0.05, 0.1, 0.2, 0.3]
GRID = [0.0, 0.05, 0.1, 0.2, 0.4]
HONEST = {"protocols": ["disjoint"], "seeds": [0, 1, 2]}


def paper_tables(common: dict[str, Any]) -> None:
    """Two objectives, four exposures."""
    settings = {"protocols": ["paper"], "true_ratios": [0.1], "assumed_ratios": [0.1], "seeds": PAPER_SEEDS}
    whole, capped = {"train_rows": None, "test_rows": None}, {"train_rows": 10_000, "test_rows": 20_000}
    for objective in ("ntl", "icl"):
        who = ours([objective], settings="published")
        bench([name for name in TABLES if name not in LARGE], who, **settings, **whole, **common)
        bench([name for name in TABLES if name in LARGE], who, **settings, **capped, **common)


def disjoint(common: dict[str, Any]) -> None:
    """Ours and the classical, on all tables."""
    tables = [*TABLES, *EXTRA_TABLES]
    bench(tables, baselines(BASELINES), true_ratios=RATIOS, **HONEST, **common)
    bench(tables, ours(["ntl"], settings="brief"), true_ratios=RATIOS, **HONEST, **common)
    bench(tables, ours(["icl"], settings="brief"), true_ratios=[0.0, 0.1], **HONEST, **common)


def sensitivity(common: dict[str, Any]) -> None:
    """Every pair of a true and an assumed ratio."""
    bench(PLENTY, ours(["ntl"], settings="brief"), true_ratios=GRID, assumed_ratios=GRID, **HONEST, **common)


def embeddings(common: dict[str, Any]) -> None:
    """Image features."""
    who = ours(["ntl"], settings="brief") + baselines(["IsolationForest", "kNN", "PCA"], trimmed=[1])
    bench(EMBEDDINGS, who, true_ratios=[0.0, 0.1, 0.2], **HONEST, **common)


def auto(common: dict[str, Any]) -> None:
    """The default, which estimates what it needs."""
    who = {"default": AnomalyDetector(device="cpu")}
    tables, settings = [*TABLES, *EXTRA_TABLES], HONEST | {"assumed_ratios": ["auto"]}
    bench(tables, who, true_ratios=[0.0, 0.1, 0.2, 0.3], **settings, **common)  # what the page compares comes first
    bench(tables, who, true_ratios=RATIOS, **(settings | {"seeds": range(5)}), **common)


def auto_paper(common: dict[str, Any]) -> None:
    """The default and its two-sided variant under the paper's protocol; large sets capped as in *paper_tables*."""
    settings = {"protocols": ["paper"], "true_ratios": [0.1], "assumed_ratios": ["auto"], "seeds": PAPER_SEEDS[:3]}
    whole, capped = {"train_rows": None, "test_rows": None}, {"train_rows": 10_000, "test_rows": 20_000}
    who = {"default": AnomalyDetector(device="cpu"), "default, hard": AnomalyDetector(exposure="hard", device="cpu")}
    bench([name for name in TABLES if name not in LARGE], who, **settings, **whole, **common)
    bench([name for name in TABLES if name in LARGE], who, **settings, **capped, **common)


def default_ablation(common: dict[str, Any]) -> None:
    """The default taken apart."""
    settings: dict[str, Any] = {"protocols": ["disjoint"], "true_ratios": [0.0, 0.1, 0.2], "seeds": [0, 1]}
    settings |= {"train_rows": 600, "test_rows": 1_200} | common | {"n_jobs": 1}
    for name in [*TABLES, *EXTRA_TABLES]:  # a set with all its variants, then the next: their distances are the same
        bench([name], default_parts.variants(), assumed_ratios=["auto"], **settings)
        bench([name], default_parts.told(), assumed_ratios=["true"], **settings)


def ablation(common: dict[str, Any]) -> None:
    """One setting at a time, on sets where neighbours did better than the first NTL, and on some where they did not."""
    sets = ["breastw", "cardio", "pendigits", "satellite", "thyroid", "wbc"]
    base: dict[str, Any] = {"objective": NTL(), "exposure": "soft", "batch_size": 128, "epochs": 60, "device": "cpu"}
    changes: dict[str, dict[str, Any]] = {
        "base": {},
        "no constant, as published": {"objective": NTL(constant=0.0)},
        "standard scaling": {"scaling": "standard"},
        "no scaling": {"scaling": "none"},
        "no constant, standard scaling": {"objective": NTL(constant=0.0), "scaling": "standard"},
        "4 transformations": {"objective": NTL(transformations=4)},
        "18 transformations": {"objective": NTL(transformations=18)},
        "encoder half as wide": {"objective": NTL(hidden=16, latent=16)},
        "encoder of 2 layers": {"objective": NTL(encoder_layers=2)},
        "15 epochs": {"epochs": 15},
        "240 epochs": {"epochs": 240},
        "batches of 32, 15 epochs": {"batch_size": 32, "epochs": 15},
        "batches of 512, 240 epochs": {"batch_size": 512, "epochs": 240},
        "no warm-up": {"warmup": 0},
        "20 epochs of warm-up": {"warmup": 20},
        "ranked over the whole set": {"ranking": "dataset"},
        "5 members": {"members": 5},
        "blind": {"exposure": "blind"},
        "hard": {"exposure": "hard"},
    }
    who = {name: AnomalyDetector(**(base | change)) for name, change in changes.items()}
    bench(sets, who, true_ratios=[0.1], **HONEST, **common)


def large(common: dict[str, Any]) -> None:
    """No caps: NTL and a forest, and the default, which is told no share."""
    who: list[Any] = ours(["ntl"], ["soft"], settings="default") + baselines(["IsolationForest"], trimmed=[])
    who.append({"default": AnomalyDetector(device="cpu")})
    settings = {"protocols": ["disjoint"], "seeds": [0], "train_rows": None, "test_rows": None}
    settings |= common | {"true_ratios": [0.1], "n_jobs": 1}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as one_by_one:
        for name, contender in itertools.product(LARGE, who):  # each its own process, with its own peak of memory
            told = "auto" if isinstance(contender, dict) else "true"
            line = contender if isinstance(contender, dict) else [contender]
            one_by_one.submit(bench, [name], line, assumed_ratios=[told], **settings).result()


PARTS = {
    part.__name__: part
    for part in (paper_tables, disjoint, sensitivity, embeddings, large, auto, auto_paper, default_ablation, ablation)
}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS, metavar="PART")
    parser.add_argument("--data-dir")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    for part in options.parts:
        out = options.out / f"{part}.parquet"
        PARTS[part]({"out": out, "data_dir": options.data_dir, "n_jobs": options.jobs, "verbose": 1})


if __name__ == "__main__":
    main()
