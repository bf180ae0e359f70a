"""``expose classify``: train a classifier on files, measure it on held-out samples, keep the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.heldout import Part, measured, split
from expose.cli.labels import Classes, classes_of
from expose.cli.session import Session
from expose.cli.settings import chosen, fields_of, help_by, listing, parameters_of
from expose.cli.sources import (
    beside,
    check_model,
    classes_column,
    command_line,
    label_of,
    metadata_of,
    next_commands,
    read_outliers,
    reading_of,
)
from expose.cli.text import aligned, count, percent
from expose.errors import InputError
from expose.stores import Stored

if TYPE_CHECKING:
    from expose.estimators import OutlierExposureClassifier
    from expose.kinds import Kind

EXAMPLES = """\b
Examples:
  expose classify leaves.csv --label species --outliers other.csv --out model/
  expose classify photos/ --out model/    # photos/oak/1.jpg, photos/elm/1.jpg

Killed or interrupted? The same command goes on from MODEL.checkpoint.
"""
SHOWN = 20  # classes listed
BEHIND_SET = ("terms", "score_function", "energy_margins", "network", "augment", "encoder", "exposure", "device")
SIDES = ("accuracy", "calibration_error", "auroc", "outliers_flagged", "temperature")


def all_settings(objective: str) -> str:
    """What can be set."""
    from expose.estimators import OutlierExposureClassifier
    from expose.objectives import Descend

    own, recipe = parameters_of(OutlierExposureClassifier, BEHIND_SET), fields_of(Descend)
    return listing({"Of the classifier:": own.values(), "Of its training:": recipe.values()})


@opt.reads_files
def classify(
    context: typer.Context,
    data: opt.Data,
    out: opt.NewModel,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The class of each row; of photos their folder.")
    ] = None,
    outliers: Annotated[
        str | None, typer.Option(metavar="FILE", help="What belongs to no class, to be unsure of.")
    ] = None,
    id_columns: opt.Id = None,
    ignore: opt.Ignore = None,
    category: opt.Category = None,
    contamination: Annotated[
        float, typer.Option(metavar="SHARE", help="Of rows whose class is wrong; inferred which.")
    ] = 0.0,
    threshold: Annotated[
        str,
        typer.Option(
            metavar="SHARE|RULE",
            help="Flag this share of the held-out rows; or mixture, tail:RATE, conformal:LEVEL.",
        ),
    ] = "0.05",
    held_out: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Of the rows, to measure and calibrate on; 0 for none."),
    ] = 0.2,
    baseline: Annotated[bool, typer.Option(help="Also train without the outliers, to compare.")] = True,
    seed: opt.Seed = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            is_eager=True,
            callback=help_by(all_settings),
            help="Such as epochs=20; '--set help' lists all.",
        ),
    ] = None,
    encoder: opt.EncoderUnlisted = None,
    tiles: opt.TilesUnlisted = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
    *,
    written: dict[str, Any],
) -> None:
    """Train a classifier that doubts what it does not know, best with --outliers."""
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        from expose.kinds import kind_of_files

        start = time.perf_counter()
        check_model(out)
        reading = reading_of(id_columns, ignore, label, written, category)
        kind = kind_of_files(data, reading)
        label = classes_column(kind, reading)
        reading = replace(reading, label=label)
        classifier = new_classifier(context)
        if kind.classes and classifier.encoder is None and classifier.network == "auto" and not classifier.augment:
            classifier.set_params(encoder=kind.encoder_for(("vector",)))  # photos teach a network from scratch little
        classifier.set_params(checkpoint=beside(out, "checkpoint"), verbose=session.verbose)
        if isinstance(out, Stored):
            session.say(f"Checkpoint      {beside(out, 'checkpoint')}, while it trains")
        batch = kind.read(data, reading)
        extra = None if outliers is None else read_outliers(kind, outliers, batch.samples, reading)
        found = classes_of(label_of(kind, batch, label), label)
        training, heldout = prepared(kind, batch.samples, found, extra, held_out, seed)
        classifier.fit(training.samples, training.y, outliers=training.outliers)
        again = beside(out, "baseline.checkpoint") if baseline else None
        comparison = None if heldout is None else measured(classifier, training, heldout, baseline=again)
        classifier.save(out, metadata_of(reading, command_line()) | {"comparison": comparison})
        seconds = time.perf_counter() - start
        facts = summary(classifier, found, training, comparison)
        session.result(**facts, model=str(out), seconds=round(seconds, 3))
        facts |= {"noun": kind.noun, "measure": kind.measure(batch.samples)}
        session.say("\n".join([*described(facts, seconds), *next_commands(out)]))


# -------------------------------------------------------------------------------------------------- options


def new_classifier(context: typer.Context) -> OutlierExposureClassifier:
    """Make a classifier of the options, and check them before any work is done."""
    from expose.estimators import OutlierExposureClassifier
    from expose.estimators.checks import check_class_parameters, terms_of
    from expose.objectives import Descend

    given = context.params
    check_options(context)
    own, recipe = parameters_of(OutlierExposureClassifier, BEHIND_SET), fields_of(Descend)
    found = chosen(given["settings"], own | recipe, "expose classify", given, outliers=given["outliers"] is not None)
    found |= opt.encoder_of(given)
    training = {name: value for name, value in found.items() if name in recipe}
    classifier = OutlierExposureClassifier(
        recipe=Descend(**training) if training else None,
        contamination=given["contamination"],
        threshold=opt.threshold_of(given["threshold"]),
        random_state=given["seed"],
        **{name: value for name, value in found.items() if name in own},
    )
    check_class_parameters(classifier.get_params(deep=False))
    score_function, terms = classifier.score_function, terms_of(classifier.terms)
    if score_function in ("confidence", "background") and score_function not in terms:
        raise InputError(f"score_function={score_function} needs the term of that name: --set terms={score_function}.")
    return classifier


def check_options(context: typer.Context) -> None:
    """Raise InputError for options that cannot be, or play no part."""
    given = context.params
    if not 0 <= given["held_out"] < 1:
        raise InputError(f"--held-out must be a share of the rows in [0, 1); got {given['held_out']}.")
    if not given["held_out"] and given["threshold"].partition(":")[0] == "conformal":
        raise InputError("--threshold conformal compares with held-out rows; leave out --held-out 0.")
    source = context.get_parameter_source("baseline")
    without = None if given["outliers"] is None else given["held_out"] == 0
    if source is not None and source.name == "COMMANDLINE" and without is not False:
        needs = "--outliers FILE" if without is None else "held-out rows"
        raise InputError(f"--baseline and --no-baseline play a part only with {needs}.")


# ------------------------------------------------------------------------------------------------- training


def prepared(
    kind: Kind, samples: Any, found: Classes, outliers: Any | None, share: float, seed: int
) -> tuple[Part, Part | None]:
    """Training and held-out samples."""
    return split(kind.samples(samples), found, None if outliers is None else kind.samples(outliers), share, seed)


# -------------------------------------------------------------------------------------------------- summary


def summary(
    classifier: OutlierExposureClassifier, found: Classes, training: Part, comparison: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What came of it, as plain values."""
    import numpy as np

    from expose.estimators.checks import terms_of

    rows = np.bincount(found.rows, minlength=len(found.names)).tolist()
    return {
        "classes": dict(zip(map(str, found.names.tolist()), rows, strict=True)),
        "rows": len(training.y),
        "columns": classifier.n_features_in_,
        "outliers": 0 if training.outliers is None else len(training.outliers),
        "terms": terms_of(classifier.terms),
        "score_function": classifier.score_function_,
        "threshold": classifier.threshold_score(),
        "threshold_rule": classifier.threshold_rule_,
        "held_out": 0 if comparison is None else comparison["rows"],
        "outliers_held_out": 0 if comparison is None else comparison["outliers"],
        "before": side_of(comparison, "before"),
        "after": side_of(comparison, "after"),
    }


def side_of(comparison: Mapping[str, Any] | None, when: str) -> dict[str, Any] | None:
    """What was measured before or after exposure, if it was."""
    side = None if comparison is None else comparison[when]
    return None if side is None else {name: side[name] for name in SIDES}


def described(facts: Mapping[str, Any], seconds: float) -> list[str]:
    """The same for people."""
    extra = f" and {count(facts['outliers'], 'outlier')}" if facts["outliers"] else ", without outliers"
    noun, measure = facts["noun"], facts["measure"]
    table = count(facts["rows"], noun) + (f", {measure}" if measure else f" x {count(facts['columns'], 'column')}")
    classes = [{"class": name, f"{noun}s": rows} for name, rows in list(facts["classes"].items())[:SHOWN]]
    more = len(facts["classes"]) > len(classes)
    return [
        f"Trained         on {table}{extra} in {seconds:.0f} s",
        f"Classes         {len(facts['classes'])}" + (f", of which the first {SHOWN}:" if more else ""),
        *aligned(classes),
        *measurements(facts),
        f"Scored by       {facts['score_function']}",
        f"Threshold       {facts['threshold']:.4g}; {facts['threshold_rule']}",
        *([f"P-values        by the held-out {noun}s"] if facts["held_out"] else []),
    ]


def measurements(facts: Mapping[str, Any]) -> list[str]:
    """How right, sure and watchful a classifier is on held-out rows, before and after exposure."""
    before, after = facts["before"], facts["after"]
    if after is None:
        return ["Held out        nothing: accuracy is not known, and there are no p-values (--held-out 0)"]

    def change(name: str, show: Callable[[float], str]) -> str:
        return " -> ".join(show(side[name]) for side in (before, after) if side is not None)

    outliers = f", {count(facts['outliers_held_out'], 'outlier')}" if facts["outliers_held_out"] else ""
    lines = [
        f"Held out        {count(facts['held_out'], facts['noun'])}{outliers}",
        *(["                before -> after exposure"] if before is not None else []),
        f"  Accuracy      {change('accuracy', percent)}",
        f"  Calibration   error {change('calibration_error', percent)}; temperature {after['temperature']:.3g}",
    ]
    if after["auroc"] is not None:
        lines.append(
            f"  Outliers      AUROC {change('auroc', '{:.3f}'.format)}; {change('outliers_flagged', percent)} flagged"
        )
    return lines
