"""``expose bench``: measure detectors on labelled data sets that are contaminated on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.text import aligned, count, indented
from expose.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from expose_lab.contenders import Contender

PLACED = ("gaussian", "local-global", "patch-memory")  # take the places of a photo
UNSUITED = ("bce", "hsc", "language", "local-global", "mhrot", "patch-memory", "pixelcnn")  # a test holds them
OBJECTIVES = tuple(name for name in opt.objective_names() if name not in UNSUITED)
PROTOCOLS = ("clean", "disjoint", "paper")
SETTINGS = ("default", "brief", "published")
BACKENDS = ("loky", "dask", "ray")
PHOTO_PROTOCOLS = ("clean", "disjoint", "overlap")
PHOTO_BASELINES = ("PatchCore", "SoftPatch", "PaDiM", "kNN of photos")
SERIES_PROTOCOLS = ("whole", "later")
SERIES_BASELINES = ("Sub-PCA", "kNN", "IsolationForest", "MatrixProfile")
NOT_OF_SERIES = ("objective", "exposure", "settings", "trimmed", "ratio", "assumed", "train_rows", "test_rows")
BASELINES = ("IsolationForest", "LOF", "kNN", "OneClassSVM", "MCD", "PCA", "ECOD", "CBLOF", "HBOS")
VARIED = ("protocol", "true_ratio", "assumed")  # in the table where a benchmark has more than one of them
SHOWN = {
    "auroc": "AUROC",
    "average_precision": "AP",
    "f1": "F1",
    "f1_oracle": "oracle",
    "fpr": "FPR",
    "fpr_at_95": "FPR@95",
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO",
    "fit_seconds": "seconds",
    "vus_pr": "VUS-PR",
    "vus_roc": "VUS-ROC",
    "affiliation_f1": "affiliation F1",
    "range_f1": "range F1",
}
EXAMPLES = """\b
Examples:
  expose bench thyroid --settings brief --out results.parquet
  expose bench paper --objective ntl,icl --baseline all --jobs 4 -o all.parquet
  expose bench glass wine --ratio 0.1,0.3 --assumed 0.1,true,auto -o glass.parquet
  expose bench thyroid --objective none --baseline LOF,kNN -o classical.parquet
  expose bench paper --backend dask --address tcp://scheduler:8786 -o all.parquet
  expose bench mvtec/bottle mvtec/cable --baseline PatchCore,PaDiM -o photos.parquet
  expose bench nab smd --baseline Sub-PCA,kNN --seeds 0 -o series.parquet

Photos are folders laid out as MVTec AD: train/good, test/<defect> and masks in ground_truth/<defect>. For them
the default objective is auto, and baselines are PatchCore, SoftPatch, PaDiM and 'kNN of photos'.
Series are nab, msl, smd and smap, by themselves (protocol whole) and in their later half after a fit on the first
(later); baselines are Sub-PCA, kNN, IsolationForest and MatrixProfile, of windows.
Where nothing is assumed to be anomalous, only blind detectors and untrimmed baselines are run: the others
would be the same. LOF, IsolationForest, OneClassSVM and MCD are scikit-learn's; the other baselines need
pip install 'expose[bench]'. Killed or interrupted? Run the same command again: it goes on from FILE.
If some runs failed, the others are kept and shown, and the exit code is 2.
"""
LEGEND = (
    "Means over the sets. F1 and FPR at the detector's own threshold; oracle: F1 if the share of anomalies in the test "
    "set were known; FPR@95: at 95 % recall; seconds: to fit."
)


OF_SERIES = (
    "Means over the series, as they are. VUS-PR needs no decision; the F1s flag as many steps as are anomalous; "
    "seconds: to fit and to score."
)


def bench(
    context: typer.Context,
    sets: Annotated[
        list[str],
        typer.Argument(
            metavar="SETS...",
            show_default=False,
            help="Data sets ('expose data list'), a group (paper, extra, more, mixed, embedding, all), or folders of "
            "photos.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", show_default=False, help="Parquet file of results.")
    ],
    objective: Annotated[list[str], typer.Option(metavar="NAMES", help=f"{', '.join(OBJECTIVES)}; all, or none.")] = [  # noqa: B006
        "neighbours"  # typer only reads it
    ],
    exposure: Annotated[list[str], typer.Option(metavar="NAMES", help=f"{', '.join(opt.RULES)}; or all.")] = [  # noqa: B006
        "all"
    ],
    settings: Annotated[str, typer.Option(help=f"Rule for the objectives: {', '.join(SETTINGS)}.")] = "default",
    baseline: Annotated[
        list[str], typer.Option(metavar="NAMES", help=f"To compare with: {', '.join(BASELINES)}; all, or none.")
    ] = ["IsolationForest"],  # noqa: B006
    trimmed: Annotated[
        bool, typer.Option(help="Baselines also fitted again without their top 1x and 2x of the assumed ratio.")
    ] = True,
    protocol: Annotated[list[str], typer.Option(metavar="NAMES", help=f"{', '.join(PROTOCOLS)}; or all.")] = [  # noqa: B006
        "disjoint"
    ],
    ratio: Annotated[
        list[str], typer.Option(metavar="SHARES", help="True shares of anomalies in training, in [0, 0.5).")
    ] = ["0.1"],  # noqa: B006
    assumed: Annotated[
        list[str], typer.Option(metavar="SHARES", help="What detectors are told: shares, true, or auto.")
    ] = ["true"],  # noqa: B006
    seeds: Annotated[str, typer.Option(metavar="NUMBERS", help="Such as 0,1,2 or 0-4.")] = "0-2",
    train_rows: Annotated[
        str, typer.Option(metavar="ROWS", help="Most normal rows in training; 0 or all for no limit.")
    ] = "5000",
    test_rows: Annotated[
        str, typer.Option(metavar="ROWS", help="Most normal rows in the test set; 0 or all for no limit.")
    ] = "10000",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder of data sets. (default: $EXPOSE_DATA, else a folder in your cache)"
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=-1, help="Processes; -1 for all processors.")] = 1,
    backend: Annotated[str, typer.Option(help="Where they run: loky (here), dask or ray.")] = "loky",
    address: Annotated[
        str | None, typer.Option(help="Of a running Dask or Ray cluster. (default: a local one is started)")
    ] = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Measure detectors on contaminated data sets.

    Every set is split, contaminated and learned under every protocol, share, detector and seed asked for; one
    row per run goes into FILE. What is in FILE already is not repeated. Lists: repeat an option, or commas.
    """
    kept = f"the runs that were finished are kept in {out}; the same command goes on from there."
    with Session(as_json=as_json, quiet=quiet, debug=debug, when_interrupted=kept) as session:
        from expose_lab.store import read_table

        if collections := collections_of(sets):
            given = [name for name in NOT_OF_SERIES if is_given(context, name)]
            measure_series(
                session, collections, given,
                chosen("--protocol", protocol, SERIES_PROTOCOLS) if is_given(context, "protocol") else SERIES_PROTOCOLS,
                chosen("--baseline", baseline, SERIES_BASELINES, none=True)
                if is_given(context, "baseline") else SERIES_BASELINES[:3],
                seeds=whole_numbers(seeds), data_dir=data_dir, out=out, n_jobs=jobs, backend=backend, address=address,
            )  # fmt: skip
            return
        photos = folders_of_photos(sets)
        known = {"protocols": chosen("--protocol", protocol, PHOTO_PROTOCOLS if photos else PROTOCOLS)}
        grid: dict[str, Any] = known | {
            "true_ratios": [share("--ratio", one) for one in listed(ratio)],
            "assumed_ratios": [one if one in ("true", "auto") else share("--assumed", one) for one in listed(assumed)],
            "seeds": whole_numbers(seeds),
        }
        limits: dict[str, Any] = {
            "train_rows": limit("--train-rows", train_rows),
            "test_rows": limit("--test-rows", test_rows),
        }
        if address is not None and backend == "loky":
            raise InputError("--address is that of a Dask or Ray cluster; give --backend dask or ray too.")
        before = set(read_table(out)["key"].to_pylist()) if out.exists() else set()
        where: dict[str, Any] = {"n_jobs": jobs, "backend": backend, "address": address, "out": out}
        where |= {"verbose": session.verbose}
        if photos:
            from expose_lab.photo_bench import bench_photos

            chosen_by_user = {name for name in ("objective", "baseline") if is_given(context, name)}
            who = photo_contenders(objective, exposure, baseline, chosen_by_user)
            table = bench_photos(photos, who, **grid, **where)
        else:
            from expose_lab.grid import bench as run

            who = contenders(objective, exposure, settings, baseline, trimmed)
            names = data_sets(session, sets, data_dir)
            table = run(names, who, **grid, **limits, **where, data_dir=data_dir)
        there = len(before.intersection(table["key"].to_pylist()))
        lines = means(table)
        session.result(results=str(out), runs=table.num_rows, there_already=there, contenders=lines)
        tell(session, lines)
        session.say(f"\nResults         {out} ({count(table.num_rows, 'run')}, {there:,} of them there already)")


def collections_of(names: Iterable[str]) -> list[str]:
    """Return the collections of series that names are; none if they are names of other sets."""
    from expose_lab.datasets.series import COLLECTIONS

    given = listed(names)
    found = [name for name in given if name in COLLECTIONS]
    if found and len(found) < len(given):
        raise InputError(f"Series are measured alone: {', '.join(COLLECTIONS)}; got {' '.join(given)}.")
    return found


def measure_series(
    session: Session, collections: list[str], given: list[str], protocols: Any, baselines: Any, **where: Any
) -> None:
    """Measure the default and others on series, and show their means."""
    from expose_lab.datasets import data_folder
    from expose_lab.datasets.series import COLLECTIONS
    from expose_lab.series_bench import bench_series, series_means

    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"{options}: series are measured as they are, by the default and by published detectors.")
    folder, seeds, out = data_folder(where.pop("data_dir")), where.pop("seeds"), where["out"]
    if seeds != list(range(len(seeds))):
        raise InputError("--seeds of series are counted from 0, such as 0 or 0-2.")
    places = [COLLECTIONS[name].place(folder) for name in collections]
    if absent := [str(place.relative_to(folder)) for place in places if not place.exists()]:
        raise InputError(
            f"Not in {folder}: {', '.join(absent)}. "
            "Series have no origin to download from; see the page on data sets for how they are laid out."
        )
    table = bench_series(
        collections, baselines, protocols=protocols, seeds=len(seeds), data_dir=str(folder), verbose=session.verbose,
        **where,
    )  # fmt: skip
    lines = series_means(table.to_pylist())
    session.result(results=str(out), runs=table.num_rows, contenders=lines)
    for line in aligned([{SHOWN.get(name, name): value for name, value in one.items()} for one in lines], indent=0):
        session.say(line)
    session.say("\n" + "\n".join(indented(OF_SERIES, 0)))
    session.say(f"\nResults         {out} ({count(table.num_rows, 'row')})")


def contenders(
    objective: list[str], exposure: list[str], settings: str, baseline: list[str], trimmed: bool
) -> list[Contender]:
    """Return who takes part."""
    from expose_lab.contenders import TRIMMED, baselines, ours

    [settings] = chosen("--settings", [settings], SETTINGS, several=False)
    objectives = chosen("--objective", objective, OBJECTIVES, none=True)
    classical = chosen("--baseline", baseline, BASELINES, none=True)
    who = ours(objectives, chosen("--exposure", exposure, opt.RULES), settings)
    who += baselines(classical, TRIMMED if trimmed else ())
    if not who:
        raise InputError("--objective none and --baseline none leave nobody to measure.")
    return who


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option was given."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def folders_of_photos(names: Iterable[str]) -> list[Path]:
    """Return the folders of photos that names are or hold; none if they are names of tables."""
    given = listed(names)
    places = [name for name in given if Path(name).is_dir()]
    if not places:
        return []
    from expose_lab.datasets.photos import photo_folders

    found = [folder for name in places for folder in photo_folders(Path(name))]
    if len(places) < len(given) or not found:
        raise InputError(
            f"Folders of photos are measured alone, and are laid out as MVTec AD: train/good, test/<defect> and masks "
            f"in ground_truth/<defect>; got {' '.join(given)}."
        )
    return found


def photo_contenders(
    objective: list[str], exposure: list[str], baseline: list[str], given: set[str]
) -> list[Contender]:
    """Return who takes part where photos are measured: the default for photos alone, unless others are given."""
    from expose_lab.contenders import ours, own
    from expose_lab.photo_contenders import PhotoBaseline

    objectives = chosen("--objective", objective, ("auto", *dict.fromkeys((*OBJECTIVES, *PLACED))), none=True)
    objectives = objectives if "objective" in given else ["auto"]
    names = chosen("--baseline", baseline, PHOTO_BASELINES, none=True) if "baseline" in given else []
    who = ours(objectives, chosen("--exposure", exposure, opt.RULES))
    who += own({name: PhotoBaseline(name) for name in names})
    if not who:
        raise InputError("--objective none and --baseline none leave nobody to measure.")
    return who


def data_sets(session: Session, names: list[str], data_dir: Path | None) -> list[str]:
    """Return the names of the sets; of a group only those that can be had, all of which must be here."""
    from expose_lab.datasets import data_folder, layouts
    from expose_lab.datasets.registry import GROUPS, select

    folder = data_folder(data_dir)
    found, absent = [], []
    for name in listed(names):
        if name not in (*GROUPS, "all"):
            found.append(name)  # perhaps a file of the user's own
            continue
        for one in select([name]):
            here = one.name in ("thyroid", "mulcross") or layouts.find(one.stem, folder) is not None
            if here:
                found.append(one.name)
            elif one.sources:
                absent.append(one.name)
            else:
                session.say(f"{one.name}: left out, it is not here and has no origin to download from")
    if absent:
        some = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        groups = " ".join(name for name in listed(names) if name in (*GROUPS, "all"))
        raise InputError(f"Not in {folder}: {some}. 'expose data fetch {groups}' downloads what is missing.")
    return list(dict.fromkeys(found))


def listed(values: Iterable[str]) -> list[str]:
    """Return the parts of repeated options and comma lists, each once.

    Examples
    --------
    >>> listed(["0.1,0.2", "0.1"])
    ['0.1', '0.2']
    """
    return list(dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip()))


def chosen(
    option: str, values: Iterable[str], known: Iterable[str], *, several: bool = True, none: bool = False
) -> list[str]:
    """Return the names given, all for ``"all"``, or raise InputError."""
    given, known = listed(values), list(known)
    if several and given == ["all"]:
        return known
    if none and given == ["none"]:
        return []
    more = [*known, *(["all"] if several else []), *(["none"] if none else [])]
    wrong = [name for name in given if name not in known]
    if wrong or not given:
        raise InputError(f"{option} must be of {', '.join(more)}; got {', '.join(wrong) or 'nothing'!r}.")
    return given


def number(option: str, text: str, kind: Callable[[str], Any], said: str) -> Any:
    """Return a number, or raise InputError."""
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{option} takes {said}; got {text!r}.") from None


def share(option: str, text: str) -> float:
    """Return a share; its range is checked with all the rest of the grid."""
    value: float = number(option, text, float, "shares of anomalies in [0, 0.5)")
    return value


def limit(option: str, text: str) -> int | None:
    """Return a number of rows, None for no limit."""
    rows = 0 if text == "all" else number(option, text, int, "a number of rows, or all")
    if rows < 0:
        raise InputError(f"{option} takes a number of rows, or all; got {text!r}.")
    return rows or None


def whole_numbers(text: str) -> list[int]:
    """Return the numbers of a list of numbers and ranges.

    Examples
    --------
    >>> whole_numbers("0-2,7")
    [0, 1, 2, 7]
    """
    said = "whole numbers such as 0,1,2 or 0-4"
    found: list[int] = []
    for part in listed([text]):
        first, _, last = part.partition("-")
        ends = [number("--seeds", end, int, said) for end in (first, last or first)]
        found += range(ends[0], ends[1] + 1)
    if not found:
        raise InputError(f"--seeds takes {said}; got {text!r}.")
    return found


def means(table: pa.Table) -> list[dict[str, Any]]:
    """Return one line per contender: its means over the sets, the best AUROC first.

    A set with more seeds does not count more. Protocols and shares are kept apart where there are several.
    """
    varied = [name for name in VARIED if len(table[name].unique()) > 1]
    shown = [name for name in SHOWN if name in table.column_names and table[name].null_count < len(table)]
    keys = [*varied, "detector", "exposure"]
    per_set = table.group_by([*keys, "dataset"], use_threads=False).aggregate(
        [(name, "mean") for name in shown] + [([], "count_all")]
    )
    per_contender = per_set.group_by(keys, use_threads=False).aggregate(
        [(f"{name}_mean", "mean") for name in shown] + [("count_all", "sum"), ([], "count_all")]
    )
    lines = [
        {name: one[name] for name in keys}
        | {name: one[f"{name}_mean_mean"] for name in shown}
        | {"sets": one["count_all"], "runs": one["count_all_sum"]}
        for one in per_contender.to_pylist()
    ]
    return sorted(lines, key=lambda one: (*(one[name] for name in varied), -one["auroc"]))


def tell(session: Session, lines: list[dict[str, Any]]) -> None:
    """Show the lines as a table."""
    for line in aligned([{SHOWN.get(name, name): value for name, value in one.items()} for one in lines], indent=0):
        session.say(line)
    if lines:
        session.say("\n" + "\n".join(indented(LEGEND, 0)))
