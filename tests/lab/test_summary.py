import math

import numpy as np
import pyarrow as pa
import pytest

from expose.errors import InputError
from expose_lab import cells, fill_plain, latest, pivot
from expose_lab.grid import schema
from expose_lab.summary import CellMean, Who

BLIND, SOFT = Who("ntl", "blind", "brief"), Who("ntl", "soft", "brief")
FOREST, TRIMMED = Who("IsolationForest", "as is", "standard"), Who("IsolationForest", "trimmed 1x", "standard")


def table(*rows):
    common = {"dataset": "wine", "protocol": "disjoint", "true_ratio": 0.1, "assumed": "true", **BLIND._asdict()}
    return pa.Table.from_pylist([common | row for row in rows], schema=schema())


def cell(dataset="wine", who=BLIND, mean=0.5, true_ratio=0.1, assumed="true"):
    return CellMean(dataset, "disjoint", true_ratio, assumed, who, mean, 0.1, 3)


def test_mean_and_spread_over_the_seeds():
    rows = [{"seed": seed, "auroc": value, "fpr": 0.5} for seed, value in enumerate((0.7, 0.8, 0.9))]
    rows.append({"seed": 0, "auroc": 0.6, "dataset": "musk"})
    wine, musk = cells(table(*rows), "auroc")
    assert (wine.mean, wine.std, wine.n_seeds, wine.who) == (pytest.approx(0.8), pytest.approx(0.1), 3, BLIND)
    assert (musk.dataset, musk.mean, musk.n_seeds) == ("musk", 0.6, 1)
    assert math.isnan(musk.std)


@pytest.mark.parametrize("name", ["dataset", "protocol", "true_ratio", "assumed", "detector", "exposure", "settings"])
def test_whatever_differs_makes_another_cell(name):
    other = 0.2 if name == "true_ratio" else "other"
    assert len(cells(table({"seed": 0, "auroc": 0.5}, {"seed": 1, "auroc": 0.5, name: other}), "auroc")) == 2


@pytest.mark.parametrize(
    ("rows", "metric", "message"),
    [
        ([{"seed": 0, "auroc": 0.5}], "auc", "no column \\['auc'\\]"),
        ([{"seed": 0, "auroc": None}], "auroc", "None, not a finite number"),
        ([{"seed": 0, "auroc": math.nan}], "auroc", "nan, not a finite number"),
        ([{"seed": 0, "auroc": 0.5, "train_rows": 5}, {"seed": 0, "auroc": 0.6}], "auroc", "more than one row"),
        ([{"seed": 0, "dataset": "wine", "auroc": 0.5}], "dataset", "not a finite number"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(rows, metric, message):
    with pytest.raises(InputError, match=message):
        cells(table(*rows), metric)


def test_the_run_finished_last_counts():
    old = {"seed": 0, "auroc": 0.5, "finished": "2026-01-01T10:00:00+00:00", "code": "a"}
    new = old | {"auroc": 0.6, "finished": "2026-01-02T09:00:00+00:00", "code": "b"}
    for rows in ((old, new), (new, old)):
        assert latest(table(*rows))["auroc"].to_pylist() == [0.6]
    others = [old, old | {"seed": 1}, old | {"train_rows": 10}, old | {"exposure": "soft"}]
    assert latest(table(*others)).num_rows == 4


def test_plain_contenders_stand_for_all_where_nothing_is_assumed():
    ran = [cell(who=who, true_ratio=0.1) for who in (BLIND, SOFT, FOREST, TRIMMED)]
    ran += [cell(who=BLIND, mean=0.9, true_ratio=0.0), cell(who=FOREST, mean=0.8, true_ratio=0.0)]
    ran += [cell(who=BLIND, mean=0.7, true_ratio=0.1, assumed="0.0")]
    added = fill_plain(ran)[len(ran) :]
    assert [(one.who, one.true_ratio, one.assumed, one.mean) for one in added] == [
        (SOFT, 0.0, "true", 0.9),
        (TRIMMED, 0.0, "true", 0.8),
        (SOFT, 0.1, "0.0", 0.7),
    ]
    assert fill_plain(fill_plain(ran)) == fill_plain(ran)  # nothing twice


def test_nothing_is_filled_where_something_is_assumed_or_settings_differ():
    ran = [
        cell(who=BLIND, true_ratio=0.1),
        cell(who=BLIND, true_ratio=0.0, assumed="0.1"),
        cell(who=SOFT, assumed="auto"),
    ]
    assert fill_plain(ran) == ran
    ran = [cell(who=BLIND, true_ratio=0.0), cell(who=SOFT._replace(settings="default"))]
    assert fill_plain(ran) == ran


def test_only_complete_sets_enter_the_matrix_and_the_others_are_named():
    ran = [cell("wine", BLIND, 0.1), cell("wine", SOFT, 0.2), cell("musk", SOFT, 0.3), cell("cover", SOFT, 0.5)]
    ran += [cell("cover", BLIND, 0.4)]
    matrix = pivot(ran)
    assert (matrix.datasets, matrix.contenders) == (("cover", "wine"), (BLIND, SOFT))
    assert np.array_equal(matrix.values, [[0.4, 0.5], [0.1, 0.2]])
    assert matrix.left_out == {"musk": (BLIND,)}
    turned = pivot(ran, [SOFT])
    assert (turned.values.ravel().tolist(), turned.left_out) == ([0.5, 0.3, 0.2], {})


def test_ambiguous_or_empty_matrices_are_refused():
    with pytest.raises(InputError, match="ntl blind has more than one cell on 'wine'"):
        pivot([cell(true_ratio=0.1), cell(true_ratio=0.2)])
    with pytest.raises(InputError, match="None of 2 data sets has a result of each of 2 contenders"):
        pivot([cell("wine", BLIND), cell("musk", SOFT)])
    with pytest.raises(InputError, match="None of 0"):
        pivot([])


def test_what_was_assumed():
    assert [cell(assumed=text).assumes_truth for text in ("true", "0.1", "0.2", "auto")] == [True, True, False, False]
    assert [cell(true_ratio=r, assumed=a).assumes_nothing for r, a in ((0.0, "true"), (0.1, "0"), (0.0, "0.1"))] == [
        True,
        True,
        False,
    ]
    assert (str(FOREST), str(TRIMMED)) == ("IsolationForest", "IsolationForest trimmed 1x")
