"""The options that commands share, each defined once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from expose.errors import InputError
from expose.stores import place_of

RULES = ("blind", "refine", "hard", "soft")


def objective_names() -> list[str]:
    """Names of the objectives that ship, read off their files so as not to import PyTorch."""
    found = Path(__file__).parent.parent.joinpath("objectives").glob("[a-z]*.py")
    texts = [path.read_text(encoding="utf-8") for path in found]
    return sorted(name for text in texts for name in re.findall(r'^@register\("([^"]+)"', text, re.MULTILINE))


def completed(names: Callable[[], Sequence[str]]) -> Callable[[str], list[str]]:
    """A completion that offers the names that begin as what was typed."""

    def matching(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return matching


def number_or_name(value: str | None) -> float | str | None:
    """A value that is a number, a percentage or a word, as the estimators take it.

    Examples
    --------
    >>> number_or_name("0.01"), number_or_name("5%"), number_or_name("tail:0.001"), number_or_name(None)
    (0.01, 0.05, 'tail:0.001', None)
    """
    try:
        if value is not None and value.strip().endswith("%"):
            return float(value.strip()[:-1]) / 100
        return None if value is None else float(value)
    except ValueError:
        return value


def threshold_of(value: str | None) -> float | str | None:
    """A threshold as the estimators take it; a number that is no share is refused here, where it can be said how.

    Examples
    --------
    >>> threshold_of("0.05"), threshold_of("mixture")
    (0.05, 'mixture')
    """
    found = number_or_name(value)
    if isinstance(found, float) and not 0 <= found < 1:
        percent = f" For {value} % write {found / 100:g}." if 1 <= found < 100 else ""
        raise InputError(
            "--threshold is the share of the training rows to flag, in [0, 1), or mixture, tail:RATE or "
            f"conformal:LEVEL; got {value}.{percent} To flag above a score of your own, compare it with the column "
            "anomaly_score of the scores file."
        )
    return found


def checked_seed(value: int) -> int:
    """A seed that the generators take."""
    if not 0 <= value < 2**32:
        raise typer.BadParameter(f"a seed is a whole number from 0 to {2**32 - 1}; got {value}.")
    return value


def window_of(value: str) -> int | str:
    """How much is looked at together: a number of steps or lines, or a length of time, which the kind reads.

    >>> window_of("50"), window_of("5m")
    (50, '5m')
    """
    if value.strip().lstrip("+-").isdecimal():
        if int(value) < 1:
            raise typer.BadParameter(f"a window holds 1 at least; got {value}.")
        return int(value)
    return value.strip()


Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="Files, a folder, s3://.., postgresql://.., -",
    ),
]
Model = Annotated[
    Path,  # or Stored: typer knows no unions
    typer.Argument(metavar="MODEL", parser=place_of, show_default=False, help="Folder that was written before."),
]
NewModel = Annotated[
    Path,  # or Stored
    typer.Option(
        "--out", "-o", metavar="MODEL", parser=place_of, show_default=False, help="Folder to write the model to."
    ),
]
Id = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="COLUMNS", help="Name a row: kept beside its score, not looked at."),
]
Ignore = Annotated[
    list[str] | None, typer.Option(metavar="COLUMNS", help="To leave out. --category: numbers that are names.")
]
Category = Annotated[
    list[str] | None, typer.Option(metavar="COLUMNS", hidden=True, help="Whose numbers are names, as of shops.")
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE|RULE",
        help="Flag what scores above this share of the training data; or mixture, tail:RATE, conformal:LEVEL. "
        "(default: as in training)",
    ),
]
Fdr = Annotated[
    float | None,
    typer.Option(
        "--fdr",
        metavar="RATE",
        help="Flag by p-values instead of a threshold: of what is flagged, at most this share is false on average "
        "(Benjamini-Hochberg). Needs a calibrated model.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="NUMBER", callback=checked_seed, help="Same seed, same data, same model.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:1.")]
EncoderUnlisted = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="NAME",
        hidden=True,
        help="What makes vectors of DATA: standard, pixels, words, ...; of photos efficientnet-lite2 or a vision model "
        "of the hub, such as facebook/dinov2-small.",
    ),
]
TilesUnlisted = Annotated[
    int | None,
    typer.Option("--tiles", metavar="N", min=1, hidden=True, help="Look at N x N tiles of each photo: small defects."),
]
SKIP_BAD = "Leave out image files that cannot be read, and say which."
SkipBad = Annotated[bool, typer.Option("--skip-bad", help=SKIP_BAD)]
SpreadsheetSafeUnlisted = Annotated[bool, typer.Option("--spreadsheet-safe", hidden=True)]
SkipBadUnlisted = Annotated[bool, typer.Option("--skip-bad", help=SKIP_BAD, hidden=True)]  # where help is full
SampleRowsUnlisted = Annotated[
    int | None,
    typer.Option("--sample-rows", metavar="N", min=2, hidden=True, help="Fit on so many rows drawn from DATA."),
]
MemoryUnlisted = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", hidden=True, help="Such as 2GB: fit a sample of DATA that need more."),
]
ADDRESS = (
    "Of the engine's cluster: ray://host:10001, tcp://host:8786, spark://host:7077; or local[2], two processes here. "
    "(default: all processors here)"
)
EngineUnlisted = Annotated[
    str | None,
    typer.Option("--engine", metavar="NAME", hidden=True, help="Sample and rank Parquet files by ray, dask or spark."),
]
AddressUnlisted = Annotated[str | None, typer.Option("--address", metavar="URL", hidden=True, help=ADDRESS)]
SpreadsheetSafe = Annotated[
    bool,
    typer.Option(
        "--spreadsheet-safe", help="Put ' before texts that a spreadsheet would run: those with = + - @ first."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and every warning.")]

# How files are written: of each option the name that `Dialect`, `Conventions` or `Reading` has for it. One stands in
# --help and names the others.
WRITTEN: dict[str, Any] = {
    "delimiter": Annotated[
        str | None,
        typer.Option(
            metavar="CHAR",
            help="Found. Also: --no-header, --skip-lines, --comment, --encoding, --null, --decimal, --thousands, "
            "--query, --day-first, --strict, --photo, --views, --text.",
        ),
    ],
    "header": Annotated[bool | None, typer.Option("--header/--no-header", hidden=True, help="Is there one?")],
    "skip_lines": Annotated[int | None, typer.Option(metavar="N", min=0, hidden=True, help="Lines at the top.")],
    "comment": Annotated[str | None, typer.Option(metavar="MARK", hidden=True, help="What such lines begin with.")],
    "encoding": Annotated[str | None, typer.Option(metavar="NAME", hidden=True, help="Such as latin-1.")],
    "null": Annotated[
        list[str] | None, typer.Option(metavar="TEXT", hidden=True, help="A spelling of a missing value; repeatable.")
    ],
    "decimal": Annotated[str | None, typer.Option(metavar="SIGN", hidden=True, help=". or ,")],
    "thousands": Annotated[str | None, typer.Option(metavar="SIGN", hidden=True, help="Such as , or . or a blank.")],
    "day_first": Annotated[
        bool | None, typer.Option("--day-first/--month-first", hidden=True, help="Of dates such as 03/04/2025.")
    ],
    "infinity": Annotated[
        str | None, typer.Option(metavar="RULE", hidden=True, help="Infinite numbers: refuse, or missing.")
    ],
    "strict": Annotated[
        bool | None, typer.Option("--strict", hidden=True, help="Refuse a value that is not written like its column.")
    ],
    "query": Annotated[str | None, typer.Option("--query", metavar="SQL", hidden=True, help="To ask a database.")],
    "views": Annotated[
        list[str] | None,
        typer.Option("--views", metavar="WORDS", hidden=True, help="In names of photos: top,side of one item."),
    ],
    "photo": Annotated[
        list[str] | None,
        typer.Option("--photo", metavar="COLUMN", hidden=True, help="Of paths: DATA lists photos."),
    ],
    "time": Annotated[
        str | None,
        typer.Option("--time", metavar="COLUMN", hidden=True, help="Of times: DATA are series, judged by windows."),
    ],
    "entity": Annotated[
        list[str] | None,
        typer.Option("--entity", metavar="COLUMNS", hidden=True, help="Of what, with --time: each is a series."),
    ],
    "window": Annotated[
        str | None,
        typer.Option(
            "--window",
            metavar="LENGTH",
            hidden=True,
            parser=window_of,
            help="Of series, logs and videos: N steps, lines, frames; of logs 5m, too.",
        ),
    ],
    "session": Annotated[
        str | None,
        typer.Option("--session", metavar="PATTERN", hidden=True, help="In logs, what names a session: blk_, id=..."),
    ],
    "text": Annotated[
        str | None,
        typer.Option("--text", metavar="COLUMN|lines", hidden=True, help="Of texts, or each line of DATA is one."),
    ],
    "video": Annotated[
        bool | None, typer.Option("--video", hidden=True, help="Folders of images are clips, and these their frames.")
    ],
    "every": Annotated[
        int | None, typer.Option("--every", metavar="N", min=1, hidden=True, help="Look at every Nth frame of a video.")
    ],
}


def encoder_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What ``--encoder`` and ``--tiles`` choose, as a parameter of the estimators; nothing if they were not used.

    >>> encoder_of({"encoder": "standard", "tiles": None})
    {'encoder': 'standard'}
    """
    if given["tiles"] is None:
        return {} if given["encoder"] is None else {"encoder": given["encoder"]}
    from expose.encoders import PhotoEncoder

    named = {} if given["encoder"] is None else {"network": given["encoder"]}
    check_tiled(**named)
    return {"encoder": PhotoEncoder(**named, tiles=given["tiles"])}


def check_tiled(network: str | None = None) -> None:
    """Refuse tiles for an encoder that is no network of photos."""
    from expose.encoders.pretrained import WEIGHTS, is_of_hub

    if network is not None and network not in WEIGHTS and not is_of_hub(network):
        raise InputError(
            f"--tiles goes with a pretrained network of photos, --encoder {', '.join(sorted(WEIGHTS))}, or a vision "
            f"model of the hub; got --encoder {network}. Leave out one of the two."
        )


def check_asked(data: Sequence[str]) -> None:
    """Refuse a query of what is no database, whatever its kind."""
    from expose.files import check_query

    try:
        check_query(data)
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


def reads_files(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `WRITTEN`. It gets those that were used as its last parameter, ``written``."""

    @wraps(command)
    def run(**given: Any) -> None:
        said = {name: given.pop(name) for name in WRITTEN}
        if said["query"] is not None:
            check_asked(given["data"])
        command(**given, written={name: value for name, value in said.items() if value not in (None, [])})

    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.name != "written"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in WRITTEN.items()
    ]
    run.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, *added)}
    return run
