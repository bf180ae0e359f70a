"""Names of columns: found, and never lost or overwritten."""

from __future__ import annotations

import warnings

import pyarrow as pa
import pytest

from expose.errors import DataWarning
from expose.files import column_names, with_ids

RESULTS = {
    "row": [0, 1],
    "rank": [2, 1],
    "anomaly_score": [0.5, 2.0],
    "is_anomaly": [False, True],
    "p_value": [0.9, 0.1],
}


@pytest.mark.parametrize("name", RESULTS)
def test_an_id_with_the_name_of_a_result_is_kept_under_another(name):
    ids = pa.table({"key": ["a", "b"], name: ["u", "v"]})
    with pytest.warns(DataWarning, match=f"'{name}' has the name of a result; it is written as 'id_{name}'"):
        table = with_ids(ids, RESULTS)
    assert table.to_pydict() == {"key": ["a", "b"], f"id_{name}": ["u", "v"]} | RESULTS


def test_the_other_name_is_free():
    ids = pa.table({"row": [1], "id_row": [2], "id_id_row": [3]})
    with pytest.warns(DataWarning, match="'id_id_id_row'"):
        table = with_ids(ids, {"row": [0]})
    assert table.to_pydict() == {"id_id_id_row": [1], "id_row": [2], "id_id_row": [3], "row": [0]}


def test_ids_that_are_free_stay_as_they_are():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_ids(pa.table({"p_value": ["mine"]}), {"anomaly_score": [1.0]}).column_names == [
            "p_value",
            "anomaly_score",
        ]
        assert with_ids(None, {"anomaly_score": [1.0]}).column_names == ["anomaly_score"]


def test_column_names_are_listed_once():
    assert column_names(None, ["a"]) == []
    assert column_names(["a", "b, a", "c,d"], ["a", "b", "c,d"]) == ["a", "b", "c,d"]
