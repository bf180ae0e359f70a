"""``expose fit``: train on files, name their suspects, keep the model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.settings import Setting, chosen, fields_of, help_by, listing, parameters_of, settings_of
from expose.cli.sources import (
    beside,
    command_line,
    known_of,
    label_of,
    metadata_of,
    named,
    next_commands,
    read_outliers,
    reading_of,
    with_answers,
)
from expose.cli.text import aligned, count, indented, percent
from expose.errors import InputError

if TYPE_CHECKING:
    from expose.estimators import AnomalyDetector
    from expose.kinds import Batch
    from expose.objectives import Objective

EXAMPLES = """\b
Examples:
  expose fit transactions.parquet --contamination 0.02 --out model/
  expose fit data/ --id account,day --ignore comment --out model/
  expose fit data.csv --label is_fraud --outliers frauds.csv --out model/
  expose fit data.csv --objective ntl --set epochs=20 --out model/

Killed or interrupted? The same command goes on from MODEL.checkpoint.
"""
SHOWN = 10
EXPOSURES = ("auto", *opt.RULES)
BEHIND_SET = ("ensemble_size", "encoder", "device")  # parameters of the detector


def all_settings(objective: str) -> str:
    """What can be set: of one objective, or of all."""
    from expose.estimators import AnomalyDetector
    from expose.objectives import OBJECTIVES

    groups: dict[str, Sequence[Setting]] = {
        "Whatever the objective:": [*parameters_of(AnomalyDetector, BEHIND_SET).values()]
    }
    classes = OBJECTIVES if objective == "auto" else {objective: objective_class(objective)}
    for name, cls in sorted(classes.items()):
        usual = fields_of(type(cls.recipe))
        own = [one for one in settings_of(cls).values() if one.name not in usual or usual[one.name] != one]
        groups[f"Objective {name}, trained by {type(cls.recipe).__name__}:"] = own
    for recipe in dict.fromkeys(type(cls.recipe) for cls in classes.values()):
        groups[f"Trained by {recipe.__name__}:"] = [*fields_of(recipe).values()]
    return listing(groups)


def fit(
    context: typer.Context,
    data: opt.Data,
    out: opt.NewModel,
    id_columns: opt.Id = None,
    ignore: opt.Ignore = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="What is known: 1 anomaly, 0 normal, empty unknown."),
    ] = None,
    answers: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Filled-in table of 'expose query'; repeatable.")
    ] = None,
    outliers: Annotated[
        str | None, typer.Option(metavar="FILE", help="Known anomalies that are not part of DATA.")
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            is_eager=True,  # --set help asks for it
            help=f"How a sample is judged: {', '.join(opt.objective_names())}.",
            autocompletion=opt.completed(opt.objective_names),
        ),
    ] = "auto",
    exposure: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help=f"How suspects count: {', '.join(opt.RULES)}.",
            autocompletion=opt.completed(lambda: EXPOSURES),
        ),
    ] = "auto",
    contamination: Annotated[str, typer.Option(metavar="SHARE", help="Of anomalies in DATA.")] = "auto",
    threshold: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|RULE",
            help="Flag this share of DATA; or mixture, tail:RATE, conformal:LEVEL. (default: the contamination)",
        ),
    ] = None,
    calibration: Annotated[
        int | None,
        typer.Option(metavar="FOLDS", help="Train so many further models, for p-values."),
    ] = None,
    seed: opt.Seed = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            is_eager=True,
            callback=help_by(all_settings),
            help="Of the objective and its training, such as epochs=20. '--set help' lists all.",
        ),
    ] = None,
    encoding: opt.Encoding = "utf-8",
    skip_bad: opt.SkipBadUnlisted = False,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Train on DATA as they are, anomalies included, and list their suspects."""
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose.kinds import kind_of_files
        from expose.persistence import check_target

        check_target(out)
        kind = kind_of_files(data)
        detector = new_detector(context.params, kind.objective if objective == "auto" else objective)
        detector.set_params(checkpoint=beside(out, "checkpoint"), verbose=session.verbose)
        reading = replace(reading_of(id_columns, ignore, label, encoding), skip_bad=skip_bad)
        batch = kind.read(data, reading)
        labels = with_answers(
            known_of(label_of(kind, batch, label), label), answers or (), len(batch.samples), encoding
        )
        extra = None if outliers is None else read_outliers(kind, outliers, batch.samples, reading)
        train(session, detector, batch, out, metadata_of(reading, command_line()), labels=labels, outliers=extra)


# -------------------------------------------------------------------------------------------------- options


def new_detector(given: Mapping[str, Any], objective: str) -> AnomalyDetector:
    """Make a detector of the options, and check them before any work is done."""
    from expose.estimators import AnomalyDetector
    from expose.estimators.checks import check_parameters
    from expose.objectives import make_objective

    own, shared = settings_of(objective_class(objective)), parameters_of(AnomalyDetector, BEHIND_SET)
    owner = f"expose fit --objective {objective}"
    found = chosen(given["settings"], own | shared, owner, given, outliers=given["outliers"] is not None)
    detector = AnomalyDetector(
        make_objective(objective, **{name: value for name, value in found.items() if name not in shared}),
        exposure=given["exposure"],
        contamination=opt.number_or_name(given["contamination"]) or 0.0,
        threshold=opt.number_or_name(given["threshold"]),
        calibration=given["calibration"],
        random_state=given["seed"],
        **{name: value for name, value in found.items() if name in shared},
    )
    check_parameters(detector.get_params(deep=False))
    check_calibrated(detector)
    return detector


def objective_class(name: str) -> type[Objective]:
    """A registered objective, or an error that says which there are."""
    from expose.objectives import OBJECTIVES

    if name not in OBJECTIVES:
        raise InputError(f"--objective must be auto or one of {', '.join(sorted(OBJECTIVES))}; got {name!r}.")
    return OBJECTIVES[name]


def check_calibrated(detector: AnomalyDetector) -> None:
    """Refuse a threshold on p-values without calibration before training, not after."""
    name = str(detector.threshold).partition(":")[0]
    if name == "conformal" and detector.calibration is None:
        raise InputError("--threshold conformal compares with rows that were not trained on; add --calibration 5.")


# ------------------------------------------------------------------------------------------------- training


def train(
    session: Session,
    detector: AnomalyDetector,
    batch: Batch,
    out: Path,
    metadata: dict[str, Any],
    *,
    labels: Any = None,
    outliers: Any = None,
) -> None:
    """Fit, save and report."""
    start = time.perf_counter()
    detector.fit(batch.samples, labels=labels, outliers=outliers)
    detector.save(out, metadata)  # and removes the checkpoint, unless it was interrupted
    facts = summary(detector, batch)
    seconds = time.perf_counter() - start
    session.result(model=str(out), seconds=round(seconds, 3), **facts)
    session.say("\n".join([*described(detector, facts, seconds), *next_commands(out)]))


def summary(detector: AnomalyDetector, batch: Batch) -> dict[str, Any]:
    """What a fitted detector found in its training data, as plain values."""
    estimate, scores = detector.contamination_estimate_, detector.training_scores_
    calibration, (low, high) = detector.calibration_scores_, detector.fitted_.contamination_interval
    return {
        "rows": len(scores),
        "columns": detector.n_features_in_,
        "contamination": detector.contamination_,
        "contamination_low": low,
        "contamination_high": high,
        "contamination_method": estimate.method,
        "threshold": detector.threshold_score(),
        "threshold_rule": detector.threshold_rule_,
        "calibration_rows": 0 if calibration is None else len(calibration),
        "flagged": int((scores > detector.threshold_score()).sum()),
        "suspects": suspects(detector, batch.ids, SHOWN),
    }


def suspects(detector: AnomalyDetector, ids: Any, most: int) -> list[dict[str, Any]]:
    """The first training suspects: rank, row (counted from 0), ids and score."""
    first = detector.suspects_[:most]
    places = {"rank": first["rank"], "row": first["row"]}
    names = None if ids is None else ids.take(first["row"])
    found: list[dict[str, Any]] = named(
        names, places, {"anomaly_score": first["anomaly_score"]}, quiet=True
    ).to_pylist()
    return found


def described(detector: AnomalyDetector, facts: Mapping[str, Any], seconds: float) -> list[str]:
    """The same for people."""
    rows = count(facts["rows"], "row")
    values = "column" if hasattr(detector, "feature_names_in_") else "value"
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
