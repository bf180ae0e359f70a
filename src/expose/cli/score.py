"""``expose score``: files in, scores out, in the order of the rows and in bounded memory."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expose.cli import options as opt
from expose.cli.session import Session
from expose.cli.text import aligned, count, percent
from expose.errors import DataWarning, InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from expose.cli.models import Model
    from expose.estimators.classifier import OutlierExposureClassifier
    from expose.estimators.detector import AnomalyDetector
    from expose.inputs.files import Roles

SHOWN = 5
TRAINED_ON = (
    "These look like the rows that the model was trained on. Their p-values are no evidence: they compare rows with "
    "themselves. Use p-values for rows that the model has not seen."
)


def score(
    model: opt.Model,
    data: opt.Data,
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help="Scores file: .parquet, .csv, .csv.gz, or - for stdout."),
    ],
    threshold: opt.Threshold = None,
    fdr: opt.Fdr = None,
    id_columns: opt.Id = None,
    encoding: opt.NewEncoding = None,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Score the rows of DATA with MODEL.

    However many rows there are, it needs no more memory.
    """
    with Session(as_json=as_json, quiet=quiet, debug=debug, stdout_is_data=out == "-") as session:
        from expose.cli.images import check_readable, refuse_columns
        from expose.cli.models import load_model
        from expose.cli.tables import check_output, roles_of

        if out != "-":
            check_output(Path(out), data)
        detector = load_model(model, device)
        choose_rule(detector, threshold, fdr)
        check_readable(detector, ("table", "image"), "expose score")
        if detector.encoder_.layout.kind == "image":
            refuse_columns(id=id_columns)
        names = roles_of(detector, id_columns)
        score_file(session, detector, data, out, names, encoding or names.get("encoding", "utf-8"), fdr)


def choose_rule(detector: Model, threshold: str | None, fdr: float | None) -> None:
    """Let the one rule that was asked for decide, or refuse it before any work is done."""
    if fdr is not None and threshold is not None:
        raise InputError("--fdr and --threshold are two ways to decide; give one of them.")
    if fdr is not None:
        from expose.decide import check_rate, needs_calibration

        check_rate("--fdr", fdr)
        needs_calibration(detector.calibration_scores_)
        return
    if threshold is not None:
        detector.set_params(threshold=_threshold(detector, threshold))
    detector.threshold_score()


def _threshold(detector: Model, threshold: str) -> float | str | None:
    from expose.cli.classes import share_of
    from expose.estimators.classifier import OutlierExposureClassifier

    return share_of(threshold) if isinstance(detector, OutlierExposureClassifier) else opt.number_or_name(threshold)


def score_file(
    session: Session,
    detector: Model,
    data: list[str],
    out: str,
    names: dict[str, Any],
    encoding: str,
    fdr: float | None = None,
) -> None:
    """Score, write and tell."""
    from expose.inputs.files import writer

    start, tally = time.perf_counter(), Tally(SHOWN)
    parts = read_parts(detector, data, names, encoding)
    scored: Iterator[pa.Table] = (score_roles(detector, part) for part in parts)
    with writer(out) as sink, ExitStack() as stack:
        verdict: dict[str, Any] = {"threshold": None if fdr else detector.threshold_score()}
        if fdr is None:
            rule = f"above {verdict['threshold']:.4g}; {detector.threshold_rule_}"
        else:
            scored, cutoff = stack.enter_context(selected(scored, fdr))
            verdict |= {"fdr": fdr, "p_value_cutoff": cutoff}
            reach = f"with p-values up to {cutoff:.4g}" if cutoff else "as no p-value is small enough"
            rule = f"{reach}; Benjamini-Hochberg, false discoveries at most {percent(fdr)}"
        for table in scored:
            sink.write(table)
            tally.add(table)
    seconds = time.perf_counter() - start
    session.result(
        rows=tally.rows,
        flagged=tally.flagged,
        **verdict,
        threshold_rule=detector.threshold_rule_ if fdr is None else "Benjamini-Hochberg",
        top=tally.top,
        out=out,
        seconds=round(seconds, 3),
    )
    share = percent(tally.flagged / tally.rows) if tally.rows else "0 %"
    session.say(f"Scored          {count(tally.rows, 'row')} in {seconds:.1f} s")
    session.say(f"Flagged         {tally.flagged:,} ({share}) {rule}")
    if detector.calibration_scores_ is not None and any(map(tally.is_of, known_scores(detector))):
        warnings.warn(TRAINED_ON, DataWarning, stacklevel=2)
    session.say("\n".join(["Highest         (row 0 is the first row of data)", *aligned(tally.top)]))
    if out != "-":
        session.say(f"Scores          {out}")


def known_scores(detector: Model) -> Iterator[NDArray[np.float64]]:
    """Yield scores of rows whose p-values are no evidence: those trained on, and those that p-values compare with."""
    import numpy as np

    from expose.estimators.classifier import OutlierExposureClassifier

    yield detector.training_scores_
    if isinstance(detector, OutlierExposureClassifier) and detector.calibration_scores_ is not None:
        yield detector.calibration_scores_
        yield np.concatenate([detector.training_scores_, detector.calibration_scores_])  # together one table


def read_parts(detector: Model, data: list[str], names: dict[str, Any], encoding: str) -> Iterator[Roles]:
    """Yield what is to be scored in order, as much at a time as memory holds."""
    from expose.cli.images import image_batches
    from expose.cli.tables import batches, read_again
    from expose.inputs import ImageEncoder, TextEncoder

    encoder = detector.encoder_
    if isinstance(encoder, ImageEncoder | TextEncoder):  # texts were refused before
        yield from image_batches(data)
        return
    for table in batches(data, encoding, encoder.text_columns):
        yield read_again(table, names)


def score_roles(detector: Model, roles: Roles) -> pa.Table:
    """Return the ids of rows, then what the model says: ``anomaly_score``, ``is_anomaly`` and so on."""
    import pyarrow as pa

    from expose.estimators.classifier import OutlierExposureClassifier

    ids = {} if roles.ids is None else dict(zip(roles.ids.column_names, roles.ids.columns, strict=True))
    if isinstance(detector, OutlierExposureClassifier):
        return pa.table(ids | by_classifier(detector, roles.features))
    return pa.table(ids | by_detector(detector, roles.features))


def by_detector(detector: AnomalyDetector, features: pa.Table) -> dict[str, Any]:
    """Return what a detector says of rows, each ``(n,)``."""
    from expose.decide import conformal_p_values

    scores = detector.anomaly_score(features)
    found: dict[str, Any] = {"anomaly_score": scores, "is_anomaly": scores > detector.threshold_score()}
    if detector.calibration_scores_ is not None:
        found["p_value"] = conformal_p_values(scores, detector.calibration_scores_)
    return found


def by_classifier(classifier: OutlierExposureClassifier, features: pa.Table) -> dict[str, Any]:
    """Return what a classifier says of rows, each ``(n,)``."""
    from expose.estimators.judging import judge

    found = judge(classifier, features)
    said: dict[str, Any] = {
        "anomaly_score": found.anomaly_score,
        "is_anomaly": found.is_anomaly,
        "predicted_class": classifier.classes_[found.predicted],
        "probability": found.probability,
    }
    return said if found.p_value is None else said | {"p_value": found.p_value}


@contextmanager
def selected(scored: Iterator[pa.Table], rate: float) -> Iterator[tuple[Iterator[pa.Table], float]]:
    """Flag by p-values over all rows together: again the tables, flagged anew, and the largest p-value selected.

    The tables wait in a temporary file, since the first cannot be flagged before the last p-value is known.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from expose.decide import StepUp

    tally = StepUp()
    with TemporaryFile() as file:
        first = next(scored)  # there is one: a source without rows is refused
        with pa.ipc.new_stream(file, first.schema) as stream:
            for table in chain([first], scored):
                tally.add(table["p_value"].to_numpy())
                stream.write_table(table)
        file.seek(0)
        cutoff = tally.cutoff(rate)

        def again() -> Iterator[pa.Table]:
            for batch in pa.ipc.open_stream(file):
                table = pa.Table.from_batches([batch])
                place = table.column_names.index("is_anomaly")
                yield table.set_column(place, "is_anomaly", pc.less_equal(table["p_value"], cutoff))

        yield again(), cutoff


class Tally:
    """What is known of a stream of scores so far: counts, and the highest few."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.rows = self.flagged = 0
        self.total = 0.0
        self.top: list[dict[str, Any]] = []

    def add(self, scored: pa.Table) -> None:
        """Count a table of scores."""
        import pyarrow.compute as pc

        best = pc.select_k_unstable(scored, self.most, [("anomaly_score", "descending")])
        found = [
            {"row": self.rows + place.as_py(), **facts}
            for place, facts in zip(best, scored.take(best).drop_columns("is_anomaly").to_pylist(), strict=True)
        ]
        self.top = sorted(self.top + found, key=lambda facts: -facts["anomaly_score"])[: self.most]
        self.total += pc.sum(scored["anomaly_score"]).as_py()
        self.flagged += pc.sum(scored["is_anomaly"]).as_py() or 0
        self.rows += scored.num_rows

    def is_of(self, scores: NDArray[np.float64]) -> bool:
        """Whether these were, to all appearance, the rows that have these scores."""
        return self.rows == len(scores) and math.isclose(self.total, float(scores.sum()), rel_tol=1e-6)
