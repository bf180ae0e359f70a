"""``expose demo``: the whole job, on a real contaminated table that ships in the package, or on made photos."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from expose.cli import options as opt
from expose.cli.fit import train
from expose.cli.maps import Maps, check_maps
from expose.cli.report import write_page
from expose.cli.score import score_files
from expose.cli.session import Session
from expose.cli.sources import beside, check_parent, metadata_of, reading_of
from expose.cli.text import percent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from expose.cli.plates import Plate

EXAMPLES = """\b
Examples:
  expose demo
  expose demo --images
  expose demo --out /tmp/demo
"""
TRUTH = "is_anomaly"
SHIPPED = Path(__file__).parent / "data" / "thyroid.csv.gz"
DRAWN = 20  # photos whose maps are drawn
NAMED = "plate-"  # and a number


class Show(NamedTuple):
    """What is shown: data, columns to leave out, where maps go, and what is true of the samples.

    ``truth`` is called after all else, with what the scorer says.
    """

    data: Path
    title: str
    ill: str
    noun: str
    truth: Callable[[Any, Any], tuple[Any, Mapping[str, Any]]]
    ignore: tuple[str, ...] = ()
    maps: Path | None = None


def demo(
    images: Annotated[bool, typer.Option("--images", help="On photos of a product, in place of the table.")] = False,
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

    With --images it looks for scratches, dents and stains on photos of steel plates, which it makes itself,
    and draws heat maps. It needs the extra images: pip install 'expose[images]'.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug) as session:
        check_parent(out, "--out")
        out.mkdir(exist_ok=True)
        run_all(session, out, seed, plates_shown(out, seed) if images else table_shown(out))


def run_all(session: Session, out: Path, seed: int, show: Show) -> None:
    """Fit, score, report, and then look at the truth."""
    from expose import AnomalyDetector
    from expose.kinds import kind_of_files

    model, scores, page = (out / name for name in ("model", "scores.csv", "expose-report.html"))
    ignored = "".join(f" --ignore {name}" for name in show.ignore)
    drawn = "" if show.maps is None else f" --maps {show.maps} --maps-top {DRAWN}"
    steps = [
        f"expose fit {show.data}{ignored} --seed {seed} --out {model}",
        f"expose score {model} {show.data} --out {scores}{drawn}",
        f"expose report {model} {show.data} --out {page}",
    ]
    session.say(f"$ {steps[0]}")
    reading = reading_of(None, show.ignore)
    batch = kind_of_files([str(show.data)]).read([str(show.data)], reading)
    detector = AnomalyDetector(checkpoint=beside(model, "checkpoint"), random_state=seed, verbose=session.verbose)
    train(session, detector, batch, model, metadata_of(reading, steps[0]))
    session.say(f"\n$ {steps[1]}")
    scorer = detector.scorer()
    maps = None
    if show.maps is not None:
        check_maps(scorer.fitted, str(show.maps), [str(show.data)], model, ())
        maps = Maps(scorer, str(show.maps), DRAWN)
    score_files(session, scorer, [str(show.data)], str(scores), maps=maps)
    session.say(f"\n$ {steps[2]}")
    write_page(page, detector, batch, None, title=show.title, command=steps[2])
    session.say(f"Report          {page}")
    given = scorer.encoded(batch.samples)
    truth, more = show.truth(scorer, given)
    facts = measured(truth, scorer.scores(given)) | dict(more)
    session.result(report=str(page), scores=str(scores), truth=facts)
    session.say("\nHow well was that? Now look at the truth, which nothing above has seen:")
    session.say("\n".join(described(facts, show)))
    session.say(f"\nOpen {page} in a browser. Everything is in {out}.")


# ------------------------------------------------------------------------------------------------------ the table


def table_shown(out: Path) -> Show:
    """The table, copied to where the demo writes."""
    from expose.files import known_labels, read

    data = out / SHIPPED.name
    shutil.copyfile(SHIPPED, data)

    def truth(scorer: Any, given: Any) -> tuple[Any, Mapping[str, Any]]:
        return known_labels(read(data)[TRUTH], TRUTH), {}

    return Show(data, "Suspects in the thyroid table", "ill", "patient", truth, (TRUTH,))


# ------------------------------------------------------------------------------------------------------ the photos


def plates_shown(out: Path, seed: int) -> Show:
    """Photos of plates, made and written to where the demo writes."""
    import numpy as np

    from expose.cli.plates import plates

    made, data, maps = plates(seed=seed), out / "photos", out / "maps"
    write_plates(made, data)
    for drawn in maps.glob(f"{NAMED}*.jpg"):  # of an earlier run, which nobody else would miss
        drawn.unlink()

    def truth(scorer: Any, given: Any) -> tuple[Any, Mapping[str, Any]]:
        odd = np.array([one.defect is not None for one in made])
        return odd, places_found(scorer, given, made, odd)

    return Show(data, "Suspects among the plates", "damaged", "plate", truth, maps=maps)


def write_plates(made: list[Plate], folder: Path) -> None:
    """Write photos as files, named by their numbers."""
    from expose.kinds.image_files import pillow

    folder.mkdir(exist_ok=True)
    for number, one in enumerate(made):
        pillow().fromarray(one.photo).save(folder / f"{NAMED}{number:03}.png")


def places_found(scorer: Any, given: Any, made: list[Plate], odd: NDArray[Any]) -> dict[str, Any]:
    """How well maps and masks say where the defects are."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    heat, masks, true = scorer.maps(given), scorer.masks(given), np.stack([one.mask for one in made])
    rows = np.flatnonzero(odd).tolist()
    return {
        "masks_on_defects": sum(bool((masks[row] & true[row]).any()) for row in rows),
        "pixel_auroc": float(roc_auc_score(true[:, ::2, ::2].ravel(), np.ravel([one[::2, ::2] for one in heat]))),
    }


# ------------------------------------------------------------------------------------------------------- the truth


def measured(truth: NDArray[Any], scores: NDArray[Any]) -> dict[str, Any]:
    """Metrics of scores ``(n,)`` against the truth ``(n,)`` of 0 and 1."""
    from sklearn.metrics import roc_auc_score

    ill, ranked = int(truth.sum()), truth[(-scores).argsort(kind="stable")]
    return {
        "anomalies": ill,
        "share": ill / len(truth),
        "auroc": float(roc_auc_score(truth, scores)),
        "precision_at": {k: float(ranked[:k].mean()) for k in sorted({10, min(50, 5 * ill), ill})},
    }


def described(facts: Mapping[str, Any], show: Show) -> list[str]:
    """The same for people."""
    hits = [f"{round(share * k)} of the top {k}" for k, share in facts["precision_at"].items()]
    sound = {"ill": "healthy"}.get(show.ill, "sound")
    lines = [
        f"{'Truly ' + show.ill:<15} {facts['anomalies']} {show.noun}s, {percent(facts['share'])} of all",
        f"Found           {', '.join(hits)} suspects are truly {show.ill}",
        f"AUROC           {facts['auroc']:.3f}  (1: every {show.ill} {show.noun} above every {sound} one; 0.5: chance)",
    ]
    if "masks_on_defects" in facts:
        lines += [
            f"Where           the masks of {facts['masks_on_defects']} of the {facts['anomalies']} lie on the defect",
            f"Pixel AUROC     {facts['pixel_auroc']:.3f}",
        ]
    return lines
