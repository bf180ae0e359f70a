"""``expose fit``: train on a file, name its suspects, keep the model."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.text import aligned, count, indented, percent
from expose.errors import InputError

if TYPE_CHECKING:
    from expose.estimators.detector import AnomalyDetector
    from expose.inputs.files import Roles

SHOWN = 10


def fit(
    context: typer.Context,
    data: opt.Data,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL", help="Folder to write the model to.")],
    id_columns: opt.Id = None,
    ignore: opt.Ignore = None,
    label: opt.Label = None,
    task: opt.Task = "auto",
    answers: opt.Answers = None,
    encoding: opt.Encoding = "utf-8",
    objective: opt.Objective = "neighbours",
    exposure: opt.Exposure = "auto",
    contamination: opt.Contamination = "auto",
    threshold: opt.Threshold = None,
    calibration: opt.Calibration = None,
    members: opt.Members = 1,
    scaling: opt.Scaling = "quantile",
    outliers: opt.Outliers = None,
    outlier_weight: opt.OutlierWeight = 1.0,
    terms: opt.Terms = "uniform",
    score_function: opt.ScoreFunction = "entropy",
    held_out: opt.HeldOut = 0.2,
    baseline: opt.Baseline = True,
    outlier_share: opt.OutlierShare = 1.0,
    hardest: opt.Hardest = 1.0,
    outlier_batch_size: opt.OutlierBatchSize = None,
    optimizer: opt.Optimizer = "adam",
    epochs: opt.Epochs = None,
    batch_size: opt.BatchSize = None,
    learning_rate: opt.LearningRate = 1e-3,
    weight_decay: opt.WeightDecay = 0.0,
    halve_every: opt.HalveEvery = None,
    warmup: opt.Warmup = 2,
    ranking: opt.Ranking = "batch",
    patience: opt.Patience = None,
    seed: opt.Seed = 0,
    precision: opt.Precision = "auto",
    device: opt.Device = "auto",
    checkpoint_every: opt.CheckpointEvery = 30.0,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Train on DATA and list its suspects.

    DATA is taken as it is, anomalies included: a table, or a folder of images. The model is written to a folder, MODEL.
    Where --label names a column of classes, a classifier is trained that knows what belongs to none of them, best with
    --outliers.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose.cli.class_fit import fit_classes
        from expose.cli.classes import holds_classes, refuse
        from expose.cli.images import NAMES, image_roles, images_in, needs_images, refuse_columns
        from expose.cli.tables import by_roles, outlier_features, sources, with_answers
        from expose.estimators.checks import check_parameters
        from expose.estimators.detector import AnomalyDetector
        from expose.inputs.files import read
        from expose.persistence import check_target

        check_target(out)
        images = images_in(data)
        if images is not None:
            refuse_columns(id=id_columns, ignore=ignore, label=label)
        table = read(sources(data), encoding=encoding) if label is not None else None
        if holds_classes(session, table, label, task):
            fit_classes(session, context, table)
            return
        refuse(context, classes=False)
        detector = AnomalyDetector(
            objective,
            exposure=exposure,
            contamination="auto" if contamination == "auto" else float(contamination),
            threshold=opt.number_or_name(threshold),
            calibration=calibration,
            members=members,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            halve_every=halve_every,
            warmup=warmup,
            ranking=ranking,
            outlier_weight=outlier_weight,
            patience=patience,
            scaling=scaling,
            precision=precision,
            device=device,
            checkpoint=checkpoint_beside(out),
            checkpoint_every=checkpoint_every,
            random_state=seed,
            verbose=session.verbose,
        )
        check_parameters(detector.get_params(deep=False))
        check_calibrated(detector)
        if images is not None:
            roles, names = image_roles(images), NAMES
        else:
            if table is None:
                table = read(sources(data), encoding=encoding)
            roles, names = by_roles(table, id_columns, ignore, label)
        if answers:
            n_rows = roles.features.num_rows if images is None else images.n_rows
            roles = roles._replace(labels=with_answers(roles.labels, answers, n_rows, encoding))
        extra: Any = None
        if outliers and images is None:
            extra = outlier_features(outliers, roles.features, names, encoding)
        elif outliers:
            extra = needs_images([outliers])
        train(session, detector, roles, out, {**names, "encoding": encoding, "command": command_line()}, extra)


def train(
    session: Session,
    detector: AnomalyDetector,
    roles: Roles,
    out: Path,
    metadata: dict[str, Any],
    outliers: Any = None,
) -> None:
    """Fit, save and tell."""
    start = time.perf_counter()
    detector.fit(roles.features, labels=roles.labels, outliers=outliers)
    detector.save(out, metadata)  # and removes the checkpoint, unless it was interrupted
    facts = summary(detector, roles)
    session.result(model=str(out), seconds=round(time.perf_counter() - start, 3), **facts)
    session.say("\n".join(_describe(detector, facts, time.perf_counter() - start)))
    session.say(f"Model           {out}")
    session.say(f"Next            {shlex.join(['expose', 'score', str(out), 'NEW_DATA', '--out', 'scores.csv'])}")
    session.say(f"                {shlex.join(['expose', 'report', str(out), 'DATA'])}")


def check_calibrated(detector: AnomalyDetector) -> None:
    """Refuse a threshold on p-values without calibration before training, not after."""
    name = str(detector.threshold).partition(":")[0]
    if name == "conformal" and detector.calibration is None:
        raise InputError("--threshold conformal compares with rows that were not trained on; add --calibration 5.")


def checkpoint_beside(model: Path) -> Path:
    """Return the file that keeps unfinished training: beside the model folder, removed when it is done."""
    place = model.resolve()
    return place.with_name(place.name + ".checkpoint")


def command_line() -> str:
    """Return what was typed, as it can be typed again."""
    return shlex.join(["expose", *sys.argv[1:]])


def summary(detector: AnomalyDetector, roles: Roles) -> dict[str, Any]:
    """Return what a fitted detector found in its training table, as plain values."""
    estimate = detector.contamination_estimate_
    return {
        "rows": len(detector.training_scores_),
        "columns": detector.n_features_in_,
        "contamination": detector.contamination_,
        "contamination_low": estimate.low,
        "contamination_high": estimate.high,
        "contamination_method": estimate.method,
        "threshold": detector.threshold_score(),
        "threshold_rule": detector.threshold_rule_,
        "calibration_rows": 0 if detector.calibration_scores_ is None else len(detector.calibration_scores_),
        "flagged": int((detector.training_scores_ > detector.threshold_score()).sum()),
        "suspects": suspects(detector, roles, SHOWN),
    }


def suspects(detector: AnomalyDetector, roles: Roles, most: int) -> list[dict[str, Any]]:
    """Return the first training suspects: rank, row (counted from 0), ids and score."""
    chosen = detector.suspects_[:most]
    ids = roles.ids.take(chosen["row"]).to_pylist() if roles.ids is not None else [{}] * len(chosen)
    return [
        {
            "rank": int(one["rank"]),
            "row": int(one["row"]),
            **named,
            "anomaly_score": float(one["anomaly_score"]),
        }
        for one, named in zip(chosen, ids, strict=True)
    ]


def _describe(detector: AnomalyDetector, facts: dict[str, Any], seconds: float) -> list[str]:
    rows = count(facts["rows"], "row")
    values = "column" if detector.encoder_.layout.kind == "table" else "value"
    span = f"{percent(facts['contamination_low'])} to {percent(facts['contamination_high'])}"
    return [
        f"Trained         on {rows} x {count(facts['columns'], values)} in {seconds:.0f} s",
        f"Contamination   {percent(facts['contamination'])} ({span})",
        *indented(facts["contamination_method"], 16),
        f"Threshold       {facts['threshold']:.4g}: {facts['flagged']:,} of {rows} score above it",
        *indented(facts["threshold_rule"], 16),
        *([f"P-values        by {count(facts['calibration_rows'], 'row')}"] if facts["calibration_rows"] else []),
        *(["Top suspects    (row 0 is the first row of data)"] if facts["suspects"] else ["Top suspects    none"]),
        *aligned(facts["suspects"]),
    ]
