"""``expose demo``: the whole job on a real contaminated table that ships in the package."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.fit import train
from expose.cli.report import write_page
from expose.cli.score import score_files
from expose.cli.session import Session
from expose.cli.sources import beside, check_parent, metadata_of, reading_of
from expose.cli.text import percent

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXAMPLES = """\b
Examples:
  expose demo
  expose demo --out /tmp/demo
"""
TRUTH = "is_anomaly"
SHIPPED = Path(__file__).parent / "data" / "thyroid.csv.gz"


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

    It looks for the sick among 3,772 patients of a thyroid clinic, without knowing who they are.
    The table is UCI's thyroid disease data (CC BY 4.0). Its labels are not used, except at the end to count
    how many of the suspects really were ill.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose import AnomalyDetector
        from expose.files import read
        from expose.kinds import kind_of_files

        check_parent(out, "--out")
        out.mkdir(exist_ok=True)
        data, model, scores, page = (out / name for name in (SHIPPED.name, "model", "scores.csv", "expose-report.html"))
        shutil.copyfile(SHIPPED, data)
        steps = [
            f"expose fit {data} --ignore {TRUTH} --seed {seed} --out {model}",
            f"expose score {model} {data} --out {scores}",
            f"expose report {model} {data} --out {page}",
        ]
        session.say(f"$ {steps[0]}")
        reading = reading_of(None, [TRUTH])
        batch = kind_of_files([str(data)]).read([str(data)], reading)
        detector = AnomalyDetector(checkpoint=beside(model, "checkpoint"), random_state=seed, verbose=session.verbose)
        train(session, detector, batch, model, metadata_of(reading, steps[0]))
        session.say(f"\n$ {steps[1]}")
        score_files(session, detector.scorer(), [str(data)], str(scores))
        session.say(f"\n$ {steps[2]}")
        write_page(page, detector, batch, None, title="Suspects in the thyroid table", command=steps[2])
        session.say(f"Report          {page}")
        facts = measured(read(data)[TRUTH].to_numpy(), detector.anomaly_score(batch.samples))
        session.result(report=str(page), scores=str(scores), truth=facts)
        session.say("\nHow well was that? Now look at the truth, which nothing above has seen:")
        session.say("\n".join(described(facts)))
        session.say(f"\nOpen {page} in a browser. Everything is in {out}.")


def measured(truth: NDArray[Any], scores: NDArray[Any]) -> dict[str, Any]:
    """Metrics of scores ``(n,)`` against the truth ``(n,)`` of 0 and 1."""
    from sklearn.metrics import roc_auc_score

    ill, ranked = int(truth.sum()), truth[(-scores).argsort(kind="stable")]
    return {
        "anomalies": ill,
        "share": ill / len(truth),
        "auroc": float(roc_auc_score(truth, scores)),
        "precision_at": {k: float(ranked[:k].mean()) for k in (10, 50, ill)},
    }


def described(facts: dict[str, Any]) -> list[str]:
    """The same for people."""
    hits = [f"{round(share * k)} of the top {k}" for k, share in facts["precision_at"].items()]
    return [
        f"Truly ill       {facts['anomalies']} patients, {percent(facts['share'])} of all",
        f"Found           {', '.join(hits)} suspects are truly ill",
        f"AUROC           {facts['auroc']:.3f}  (1: every ill patient above every healthy one; 0.5: chance)",
    ]
