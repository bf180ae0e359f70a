"""``expose demo``: the whole job on a real contaminated table that ships in the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.text import percent

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUTH = "is_anomaly"


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for what it writes.")] = Path(
        "expose-demo"
    ),
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Run all of it on a table that ships in the package.

    It looks for the sick among 3,772 patients of a thyroid clinic, without being told who they are.
    The table is UCI's thyroid disease data (CC BY 4.0). Its labels are not used, except at the end to count
    how many of the suspects really were ill.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose.cli.fit import checkpoint_beside, train
        from expose.cli.report import write_page
        from expose.cli.score import score_file
        from expose.cli.tables import read_training
        from expose.estimators.detector import AnomalyDetector
        from expose.inputs.files import read

        data, model, scores, page = _prepare(out, shipped())
        steps = [
            f"expose fit {data} --ignore {TRUTH} --seed {seed} --out {model}",
            f"expose score {model} {data} --out {scores}",
            f"expose report {model} {data} --out {page}",
        ]
        session.say(f"$ {steps[0]}")
        named = read_training([str(data)], None, [TRUTH], None, "utf-8")
        detector = AnomalyDetector(checkpoint=checkpoint_beside(model), random_state=seed, verbose=session.verbose)
        train(session, detector, named.roles, model, {**named.names, "command": steps[0]})
        session.say(f"\n$ {steps[1]}")
        score_file(session, detector, [str(data)], str(scores), named.names, "utf-8")
        session.say(f"\n$ {steps[2]}")
        write_page(page, detector, read(str(data)), named.names, steps[2], "Suspects in the thyroid table")
        session.say(f"Report          {page}")
        facts = measure(truth_of(shipped()), detector.anomaly_score(named.roles.features))
        session.result(report=str(page), scores=str(scores), truth=facts)
        session.say("\n".join(["", "How well was that? Now look at the truth, which nothing above has seen:"]))
        session.say("\n".join(_describe(facts)))
        session.say(f"\nOpen {page} in a browser. Everything is in {out}.")


def _prepare(out: Path, shipped: Path) -> tuple[Path, Path, Path, Path]:
    """Make the folder, put the table there, and name what else will lie there."""
    import shutil

    out.mkdir(parents=True, exist_ok=True)
    data = out / shipped.name
    shutil.copyfile(shipped, data)
    return data, out / "model", out / "scores.csv", out / "expose-report.html"


def shipped() -> Path:
    """The table that ships with the package; its last column ``is_anomaly`` is the truth."""
    return Path(str(resources.files("expose") / "demo_data" / "thyroid.csv.gz"))


def truth_of(path: Path) -> NDArray[Any]:
    """Who is ill, ``(n,)`` of 0 and 1."""
    import numpy as np

    return np.loadtxt(path, delimiter=",", skiprows=1, usecols=-1).astype(np.int8)


def measure(truth: NDArray[Any], scores: NDArray[Any]) -> dict[str, Any]:
    """Metrics of scores ``(n,)`` against the truth ``(n,)`` of 0 and 1."""
    from sklearn.metrics import roc_auc_score

    ill = int(truth.sum())
    hits = truth[(-scores).argsort(kind="stable")].cumsum()  # of the first 1, 2, ...
    return {
        "anomalies": ill,
        "share": ill / len(truth),
        "auroc": float(roc_auc_score(truth, scores)),
        "precision_at": {k: float(hits[k - 1] / k) for k in (10, 50, ill)},
    }


def _describe(facts: dict[str, Any]) -> list[str]:
    hits = [f"{round(share * k)} of the top {k}" for k, share in facts["precision_at"].items()]
    return [
        f"Truly ill       {facts['anomalies']} patients, {percent(facts['share'])} of all",
        f"Found           {', '.join(hits)} suspects are truly ill",
        f"AUROC           {facts['auroc']:.3f}  (1: every ill patient above every healthy one; 0.5: chance)",
    ]
