"""The options that commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

RULES = ("blind", "refine", "hard", "soft")
EXPOSURES = ("auto", *RULES)
TASKS = ("auto", "anomaly", "classes")
TERMS = ("uniform", "prior", "energy", "confidence", "background")
CLASS_SCORES = ("entropy", "msp", "energy", "confidence", "background")
OPTIMIZERS = ("adam", "sgd")


def objective_names() -> list[str]:
    """Read the names of the objectives off their files (each registers one), without importing PyTorch."""
    found = Path(__file__).parent.parent.joinpath("objectives").glob("[a-z]*.py")
    return sorted(path.stem for path in found if "\n@register(" in path.read_text(encoding="utf-8"))


def _one_of(names: Sequence[str]) -> Callable[[str | None], str | None]:
    def check(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(names)}.")
        return value

    return check


def _complete(names: Sequence[str]) -> Callable[[str], list[str]]:
    def matching(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return matching


def _share_or_auto(value: str) -> str:
    if value == "auto":
        return value
    try:
        share = float(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is neither 'auto' nor a number.") from None
    if not 0 <= share < 0.5:
        raise typer.BadParameter(
            f"must be 'auto' or in [0, 0.5): the share of anomalies; got {value}. "
            "If most rows are anomalous, swap the classes."
        )
    return value


def _share_or_rule(value: str | None) -> str | None:
    if value is not None:
        from expose.decide import check_threshold

        try:
            check_threshold(number_or_name(value))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return value


def number_or_name(value: str | None) -> float | str | None:
    """Return a threshold as the detector takes it.

    Examples
    --------
    >>> number_or_name("0.01"), number_or_name("tail:0.001"), number_or_name(None)
    (0.01, 'tail:0.001', None)
    """
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


def column_names(values: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Return column names from repeated options and comma lists.

    A column whose own name holds a comma is found when it is given alone.

    Parameters
    ----------
    values : sequence of str, optional
        What was given, such as ``["id", "day,hour"]``.
    known : sequence of str
        Columns of the table.

    Examples
    --------
    >>> column_names(["id", "day, hour", "paid, EUR"], ["id", "day", "hour", "paid, EUR", "x"])
    ['id', 'day', 'hour', 'paid, EUR']
    """
    names: list[str] = []
    for value in values or ():
        names += [value] if value in known else [part.strip() for part in value.split(",") if part.strip()]
    return list(dict.fromkeys(names))


Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="CSV, TSV or Parquet, also compressed, or images: files, a quoted glob, a folder; - for CSV on stdin.",
    ),
]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", show_default=False, help="Model folder that 'expose fit' wrote.")
]
Id = Annotated[
    list[str] | None,
    typer.Option(
        "--id",
        metavar="COLUMN",
        help="Columns that name a row: kept beside its score, not used. Repeat it, or give a comma list.",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="Columns to leave out. Repeat, or comma list."),
]
Label = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of what is known: 1 anomaly, 0 normal, empty or -1 not known. A column of anything else holds "
        "classes, and a classifier is trained.",
    ),
]
Task = Annotated[
    str,
    typer.Option(
        help=f"What --label holds: {', '.join(TASKS)}. anomaly: 1, 0, -1; classes: what a classifier shall tell apart; "
        "auto: told from the values.",
        callback=_one_of(TASKS),
        autocompletion=_complete(TASKS),
    ),
]
Answers = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE", help="What was filled in to a table of 'expose query'. Repeat it for several rounds."),
]
Encoding = Annotated[str, typer.Option(help="Text encoding of CSV files, such as latin-1.")]
NewEncoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="Text encoding of CSV files. (default: as in training)",
    ),
]
Objective = Annotated[
    str,
    typer.Option(
        help=f"How a row is judged: {', '.join(objective_names())}.",
        callback=_one_of(objective_names()),
        autocompletion=_complete(objective_names()),
    ),
]
Exposure = Annotated[
    str,
    typer.Option(
        help=f"How training treats its own suspects: {', '.join(EXPOSURES)}.",
        callback=_one_of(EXPOSURES),
        autocompletion=_complete(EXPOSURES),
    ),
]
Contamination = Annotated[
    str,
    typer.Option(
        help="Share of anomalies in the training data, in [0, 0.5), or auto: estimate it.",
        callback=_share_or_auto,
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE|RULE",
        help="Flag what scores above this share of the training rows; or mixture, tail:RATE, conformal:LEVEL. "
        "(default: the contamination)",
        callback=_share_or_rule,
    ),
]
Calibration = Annotated[
    int | None,
    typer.Option(
        metavar="FOLDS",
        min=2,
        help="Train so many further models, each without one fold of the rows, for p-values. (default: none)",
    ),
]
Fdr = Annotated[
    float | None,
    typer.Option(
        "--fdr",
        metavar="RATE",
        help="Flag by p-values instead of a threshold: of the flagged rows, at most this share are false on average "
        "(Benjamini-Hochberg). Needs a calibrated model.",
    ),
]
Members = Annotated[
    int,
    typer.Option(min=1, help="Networks trained side by side; scores are combined."),
]
Scaling = Annotated[str, typer.Option(help="How numbers are scaled: quantile, robust, standard or none.")]
Outliers = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Known or made-up anomalies to train against: a table with the same columns, or a folder of images. To a "
        "classifier: of what belongs to no class.",
    ),
]
OutlierWeight = Annotated[
    float,
    typer.Option(min=0, help="Weight of the rows of --outliers."),
]
Terms = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help=f"Classes: how outliers are exposed, one or a comma list of {', '.join(TERMS)}; with weights of your own "
        "as in uniform:0.5,energy:0.1.",
    ),
]
ScoreFunction = Annotated[
    str,
    typer.Option(
        help=f"Classes: what the anomaly score is: {', '.join(CLASS_SCORES)}.",
        callback=_one_of(CLASS_SCORES),
        autocompletion=_complete(CLASS_SCORES),
    ),
]
HeldOut = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="Classes: share of the rows, and of the outliers, kept aside to measure accuracy and to take threshold, "
        "p-values and temperature from; 0 for none.",
    ),
]
Baseline = Annotated[
    bool,
    typer.Option(help="Classes: train a second time without the outliers, to tell what they change."),
]
OutlierShare = Annotated[
    float, typer.Option(help="Classes: share of --outliers that belong to no class, in (0, 1]; below 1 for wild data.")
]
Hardest = Annotated[
    float, typer.Option(help="Classes: share of each batch of outliers trained on, those most like a class, in (0, 1].")
]
OutlierBatchSize = Annotated[
    int | None, typer.Option(min=1, help="Classes: outliers per step. (default: as --batch-size)")
]
Optimizer = Annotated[
    str,
    typer.Option(
        help=f"Classes: {' or '.join(OPTIMIZERS)}.", callback=_one_of(OPTIMIZERS), autocompletion=_complete(OPTIMIZERS)
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Passes over the data. (default: chosen from the number of rows)",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Rows per step. (default: chosen from the number of rows)"),
]
LearningRate = Annotated[float, typer.Option(min=0, help="Step size. With --optimizer sgd, 0.1 where none is given.")]
WeightDecay = Annotated[float, typer.Option(min=0, help="Shrinks the weights.")]
HalveEvery = Annotated[
    int | None,
    typer.Option(min=1, help="Halve the step size after every so many epochs. (default: never)"),
]
Warmup = Annotated[
    int,
    typer.Option(min=0, help="Epochs before any row is treated as a suspect."),
]
Ranking = Annotated[str, typer.Option(help="Among which rows suspects are ranked: batch, running or dataset.")]
Patience = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Stop after this many epochs without a lower loss. (default: never)",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same data, same model.")]
CheckpointEvery = Annotated[float, typer.Option(min=0, help="Seconds between two savings of unfinished training.")]
Precision = Annotated[str, typer.Option(help="Arithmetic in training: auto, 32 or bf16.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and every warning.")]
