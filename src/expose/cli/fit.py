"""``expose fit``: train on files, name their suspects, keep the model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.answer import (
    TOP,
    Wanted,
    described,
    explained,
    most_explained,
    ranking,
    summary,
    to_look_at,
    whole_ranking,
)
from expose.cli.engines import check_address
from expose.cli.large import fit_in_passes, sizes_for
from expose.cli.session import Session
from expose.cli.settings import Setting, chosen, fields_of, help_by, listing, parameters_of, settings_of
from expose.cli.sources import (
    beside,
    check_model,
    check_output,
    command_line,
    identified,
    known_of,
    label_of,
    metadata_of,
    next_commands,
    read_outliers,
    reading_of,
    with_answers,
)
from expose.errors import InputError
from expose.stores import Stored, place_of, without_secrets

if TYPE_CHECKING:
    import pyarrow as pa

    from expose.encoders.base import ColumnRead
    from expose.estimators import AnomalyDetector
    from expose.kinds import Batch
    from expose.objectives import Objective
    from expose.stores import Place

EXAMPLES = """\b
Examples:
  expose fit data/ --id account,day --objective ntl --set epochs=20 --out m/
  expose fit app.log --out m/  # also --window 5m, --session PATTERN
  expose fit photos/ --out m/  # also --video, --encoder, --tiles, --skip-bad
  expose fit pumps.csv --time when --entity pump --out m/  # also --window N
Killed or interrupted? The same command goes on from MODEL.checkpoint.
"""
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


@opt.reads_files
def fit(
    context: typer.Context,
    data: opt.Data,
    out: opt.NewModel,
    id_columns: opt.Id = None,
    ignore: opt.Ignore = None,
    category: opt.Category = None,
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
            help=f"{', '.join(opt.objective_names())}.",
            autocompletion=opt.completed(opt.objective_names),
        ),
    ] = "auto",
    exposure: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help=f"One of {', '.join(opt.RULES)}.",
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
            help="Such as epochs=20. '--set help' lists all.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", min=0, help="Rows of the ranking to show.")] = TOP,
    out_suspects: Annotated[
        str | None, typer.Option(metavar="FILE", help="All rows, ranked, with reasons: .csv, .parquet.")
    ] = None,
    sample_rows: opt.SampleRowsUnlisted = None,
    memory: opt.MemoryUnlisted = None,
    engine: opt.EngineUnlisted = None,
    address: opt.AddressUnlisted = None,
    skip_bad: opt.SkipBadUnlisted = False,
    spreadsheet_safe: opt.SpreadsheetSafeUnlisted = False,
    encoder: opt.EncoderUnlisted = None,
    tiles: opt.TilesUnlisted = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
    *,
    written: dict[str, Any],
) -> None:
    """Train on DATA as they are, anomalies included, and list their suspects."""
    with Session(as_json=as_json, quiet=quiet, debug=debug, stdout_is_data=out_suspects == "-") as session:
        from expose.kinds import kind_of_files

        check_model(out)
        check_address(engine, address)
        check_suspects(out_suspects, data, out)
        reading = replace(reading_of(id_columns, ignore, label, written, category), skip_bad=skip_bad)
        kind = kind_of_files(data, reading)
        auto = objective == "auto"
        detector = new_detector(context.params, kind.objective if auto else objective, auto=auto)
        detector.set_params(checkpoint=beside(out, "checkpoint"), verbose=session.verbose)
        if isinstance(out, Stored):
            session.say(f"Checkpoint      {beside(out, 'checkpoint')}, while it trains")
        wanted = Wanted(top, out_suspects, spreadsheet_safe)
        if (sizes := sizes_for(kind, data, reading, sample_rows, memory, engine)) is not None:
            given: dict[str, Any] = {"answers": answers or (), "outliers": outliers, "wanted": wanted}
            given |= {"engine": engine, "address": address}
            fit_in_passes(session, detector, kind, data, reading, sizes, out, command_line(), **given)
            return
        batch, reading, found = identified(kind, kind.read(data, reading), reading)
        batch = batch._replace(notes=(*batch.notes, *kind.also(batch)))
        reading = kind.settled(reading, batch)
        labels = with_answers(known_of(label_of(kind, batch, label), label), answers or (), batch)
        extra = None if outliers is None else read_outliers(kind, outliers, batch.samples, reading)
        metadata = metadata_of(reading, command_line())
        train(session, detector, batch, out, metadata, labels=labels, outliers=extra, found=found, wanted=wanted)


# -------------------------------------------------------------------------------------------------- options


def new_detector(given: Mapping[str, Any], objective: str, *, auto: bool = False) -> AnomalyDetector:
    """Make a detector of the options, and check them before any work is done.

    ``auto`` says that the objective is only the usual one: if it has no settings, an encoder may ask for another.
    """
    from expose.estimators import AnomalyDetector
    from expose.estimators.checks import check_parameters
    from expose.objectives import make_objective

    own, shared = settings_of(objective_class(objective)), parameters_of(AnomalyDetector, BEHIND_SET)
    owner = f"expose fit --objective {objective}"
    found = chosen(given["settings"], own | shared, owner, given, outliers=given["outliers"] is not None)
    found |= opt.encoder_of(given)
    settings = {name: value for name, value in found.items() if name not in shared}
    detector = AnomalyDetector(
        "auto" if auto and "encoder" in found and not settings else make_objective(objective, **settings),
        exposure=given["exposure"],
        contamination=opt.number_or_name(given["contamination"]) or 0.0,
        threshold=opt.threshold_of(given["threshold"]),
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
    out: Place,
    metadata: dict[str, Any],
    *,
    labels: Any = None,
    outliers: Any = None,
    found: Sequence[ColumnRead] = (),
    wanted: Wanted = Wanted(),  # noqa: B008 - never changed
) -> None:
    """Fit, save and report; ``found`` are columns that were seen to name the rows."""
    start = time.perf_counter()
    detector.fit(batch.samples, labels=labels, outliers=outliers)
    detector.save(out, metadata)  # and removes the checkpoint, unless it was interrupted
    seconds = time.perf_counter() - start
    first = to_look_at(detector, batch, wanted.top)
    further = most_explained(detector) if wanted.file else 0
    rows = [*first["row"].tolist(), *detector.ranking_["row"][:further].tolist()]
    reasons = explained(detector, batch, list(dict.fromkeys(rows)))
    facts = summary(detector, batch, found) | {"ranking": ranking(detector, batch, reasons, first)}
    session.result(model=str(out), seconds=round(seconds, 3), **facts)
    if wanted.file is not None:
        table = whole_ranking(detector, batch, reasons, metadata["label"])
        write_ranking(wanted.file, table, spreadsheet_safe=wanted.spreadsheet_safe)
        session.result(out_suspects=without_secrets(wanted.file))
    named_columns = hasattr(detector, "feature_names_in_")
    session.say("\n".join(described(facts, seconds, named_columns=named_columns)))
    if wanted.file is not None:
        place = without_secrets(wanted.file)
        reasoned = f", with reasons for the first {most_explained(detector):,}" if reasons else ""
        session.say(f"Suspects        {place}: all {facts['noun']}s in this order{reasoned}")
    maps = bool(detector.fitted_.encoder.layout.places)
    session.say("\n".join(next_commands(out, query=True, maps=maps)))


def write_ranking(file: str, table: pa.Table, *, spreadsheet_safe: bool) -> None:
    """Write the whole ranking, whole or not at all."""
    from expose.files import writer

    with writer(file, spreadsheet_safe=spreadsheet_safe) as sink:
        sink.write(table)


def check_suspects(file: str | None, data: Sequence[str], out: Place) -> None:
    """Refuse a file for the ranking that could not be written, before any work is done."""
    from expose.files import check_format

    if file is None:
        return
    check_output(file, data, "--out-suspects")
    check_format(file)
    place = place_of(file).resolve()
    alike = isinstance(out, Stored) if isinstance(place, Stored) else isinstance(out, Path)
    if file != "-" and alike and place.is_relative_to(out.resolve()):  # type: ignore[arg-type]  # of one sort
        raise InputError(
            f"--out-suspects {place} lies in the model folder, which holds nothing else; choose another place."
        )
