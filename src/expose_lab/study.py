"""Run studies and write their pages.

    python -m expose_lab.study NAME...              run what the results do not hold yet
    python -m expose_lab.study NAME... --page       write the page from the results
    python -m expose_lab.study all --page           all pages
    python -m expose_lab.study list                 the names
    python -m expose_lab.study check_carried        does the default repeat its stored figures on six sets?
    python -m expose_lab.study carry NAME...        give rows the keys of the code as it is, with --set only some

A study that was killed goes on where it was; what is there already is not repeated unless code, settings or versions of
libraries have changed. Results are Parquet files in ``benchmarks/results`` of the checkout, pages lie in ``docs``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from expose import AnomalyDetector
from expose_lab.grid import bench, schema
from expose_lab.pages import Page, Rows, table
from expose_lab.runner import Task, run
from expose_lab.store import Store, as_table, read_table, write_table
from expose_lab.studies import studies
from expose_lab.studies.base import Drawing, Study

ROOT = Path(__file__).parents[2]
CHECKED = ("breastw", "cardio", "glass", "pima", "thyroid", "wine")
CHECKED_RATIOS = (0.0, 0.1)


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--page", action="store_true", help="write pages, run nothing")
    parser.add_argument("--data-dir", default=os.environ.get("EXPOSE_DATA", ""), help="default: EXPOSE_DATA")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="OPTION=VALUE",
        help="options of the study, as JSON; of carry: rows with COLUMN=VALUE,VALUE...",
    )
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--sets", nargs="+", default=list(CHECKED), help="data sets of check_carried")
    parser.add_argument("--measured-at", default="", metavar="COMMIT", help="of carry: for rows that do not say it yet")
    chosen = parser.parse_args(arguments)
    first, *names = chosen.names
    only = {name: values.split(",") for name, _, values in (one.partition("=") for one in chosen.set)}
    if first == "list":
        print("\n".join(f"{name:20} {study.says}" for name, study in studies().items()))
    elif first == "check_carried":
        return check_carried(chosen.sets, chosen.results, chosen.data_dir)
    elif first == "carry":
        carry(named(names), chosen.results, chosen.measured_at, only)
    elif chosen.page:
        write_pages(named(chosen.names), chosen.results, chosen.docs)
    else:
        for study in named(chosen.names):
            options = dict(one.split("=", 1) for one in chosen.set)
            go(study, {name: as_value(text) for name, text in options.items()}, chosen)
    return 0


def named(names: Iterable[str]) -> list[Study | Drawing]:
    """The studies of these names; "all" are all."""
    known = studies()
    wanted = list(known) if list(names) == ["all"] else list(names)
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise SystemExit(f"No study {', '.join(unknown)}. There are {', '.join(known)}, and all.")
    return [known[name] for name in wanted]


def as_value(text: str) -> Any:
    """JSON, or plain text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def go(study: Study | Drawing, options: dict[str, Any], chosen: argparse.Namespace) -> None:
    """Run what is left of a study."""
    if isinstance(study, Drawing):
        study.draw(chosen.results, chosen.docs)
        return
    unknown = sorted(options.keys() - study.options.keys())
    if unknown:
        raise SystemExit(f"{study.name} has no option {', '.join(unknown)}; it has {dict(study.options)}.")
    tasks = list(study.tasks(chosen.data_dir, options))
    with Store(chosen.results / f"{study.name}.parquet", study.schema()) as store:
        if study.apart:
            for task in tasks:  # a process that has done nothing else, for its times and its memory
                run([InFreshProcess(task)], store, verbose=1)
        else:
            run(tasks, store, n_jobs=chosen.jobs, verbose=1)


class InFreshProcess:
    """A task that is run in a process of its own."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.keys = task.keys

    def only(self, keys: Any) -> InFreshProcess:
        """The part of these keys."""
        return InFreshProcess(self.task.only(keys))

    def check(self) -> None:
        """As the task."""
        self.task.check()

    def run(self) -> list[dict[str, Any]]:
        """Run it there."""
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(self.task.run).result()

    def __str__(self) -> str:
        return str(self.task)


def write_pages(chosen: Iterable[Study | Drawing], results: Path, docs: Path) -> list[str]:
    """Write the pages of those studies that have one and have results; return where they lie."""
    written = []
    for study in chosen:
        if isinstance(study, Drawing) or not study.page:
            continue
        if not (results / f"{study.name}.parquet").exists():
            print(f"{study.page} is not written: there is no {study.name}.parquet")
            continue
        page = Page(study.page, results, docs)
        page.write(f"{study.name}.md", study.context(page))
        written.append(study.page)
        print(f"{study.page} and {len(page.pictures)} pictures")
    return written


def carry(chosen: Iterable[Study | Drawing], results: Path, measured_at: str, only: Mapping[str, list[str]]) -> None:
    """Give stored rows the keys of the code as it is, so that they are not measured anew.

    What they were measured by stays visible: rows that did not say it get `measured_at`, by default the last commit of
    their file. To be done only when `check_carried`, or a reason, says that the code still gives the same.
    """
    for study in chosen:
        path = results / f"{getattr(study, 'name', '')}.parquet"
        if isinstance(study, Drawing) or not path.exists():
            continue
        commit = measured_at or last_commit(path)
        before = read_table(path, study.schema()).to_pylist()
        after = list(study.carried(before))
        newest: dict[str, tuple[str, str]] = {}  # by new key: of rows measured by older code only the last are carried
        for old, new in zip(before, after, strict=True):
            newest[new["key"]] = max(newest.get(new["key"], ("", "")), (old["finished"], old["key"]))
        rows = [
            new | {"measured_at": old["measured_at"] or commit}
            if new["key"] != old["key"] == newest[new["key"]][1]
            and all(str(old[column]) in values for column, values in only.items())
            else old
            for old, new in zip(before, after, strict=True)
        ]
        write_table(as_table(rows, study.schema()), path)
        changed = sum(old["key"] != row["key"] for old, row in zip(before, rows, strict=True))
        print(f"{path.name}: {changed:,} of {len(rows):,} rows have new keys")


def last_commit(path: Path) -> str:
    """The commit that changed a file last."""
    command = ["git", "-C", str(path.parent), "log", "-1", "--format=%H", "--", path.name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def check_carried(sets: list[str], results: Path, data_dir: str) -> int:
    """Run the default detector on a few sets and compare with the rows of the study `auto`; 1 if a figure differs."""
    stored = Rows(read_table(results / "auto.parquet", schema()).to_pylist())
    who = {"default": AnomalyDetector(device="cpu")}
    told: dict[str, Any] = {"true_ratios": CHECKED_RATIOS, "assumed_ratios": ["auto"], "data_dir": data_dir or None}
    now = Rows(bench(sets, who, **told, verbose=1).to_pylist())
    lines, worst = [], 0.0
    for row in now:
        same = ("dataset", "protocol", "true_ratio", "assumed", "seed", "train_rows", "test_rows", "data")
        before = stored.where(**{name: row[name] for name in same})
        value = before[-1]["auroc"] if before else float("nan")
        worst = max(worst, abs(row["auroc"] - value) if before else np.inf)
        lines.append(
            [row["dataset"], f"{row['true_ratio']:g}", str(row["seed"]), f"{value:.6f}", f"{row['auroc']:.6f}"]
        )
    print(table(["set", "share", "seed", "AUROC, stored", "now"], lines))
    print(f"The largest difference is {worst:.2g}.")
    return int(not worst < 1e-6)


if __name__ == "__main__":
    raise SystemExit(main())
