"""The list of all rows: searched, filtered, sorted."""

from __future__ import annotations

import pytest

from expose.errors import InputError
from expose.review.desk import Desk
from expose.review.rows import PAGE, Rows, Wish


@pytest.fixture
def ask(desk: Desk):
    found = Rows(desk.standing.material, desk.batch.samples)

    def asking(**wish):
        return found.find(Wish(**wish), desk.standing, desk.called())

    return asking


def test_without_a_wish_it_is_the_ranking(ask, desk: Desk) -> None:
    found = ask()
    assert found.rows == desk.standing.order[:PAGE].tolist()
    assert (found.n_rows, found.pages) == (120, 3)
    assert ask(page=3).rows == desk.standing.order[2 * PAGE :].tolist()
    assert ask(page=99).rows == ask(page=3).rows


def test_search_looks_at_names_values_and_numbers(ask) -> None:
    assert ask(search="a007").rows == [7]
    assert ask(search=" BAKERY ").n_rows == ask(column="shop", test="is", value="bakery").n_rows > 0
    assert 17 in ask(search="17").rows
    assert ask(search="row 17").rows == [17]
    assert ask(search="(a+)+$").rows == []  # no pattern, a text
    assert ask(search="1" * 5_000).rows == []  # more digits than Python reads


def test_filters(ask, desk: Desk) -> None:
    assert sorted(ask(column="amount", test="least", value="200").rows) == list(range(6))
    assert ask(column="amount", test="most", value="199,5").n_rows == 114
    assert ask(column="amount", test="missing").n_rows == 0
    assert ask(column="account", test="contains", value="A00").n_rows == 10
    assert ask(column="secret", test="is", value="3").rows == [3]
    with pytest.raises(InputError, match="holds numbers"):
        ask(column="amount", test="least", value="many")
    with pytest.raises(InputError, match="no column 'nothing'"):
        ask(column="nothing", value="1")
    with pytest.raises(InputError, match="no test"):
        ask(column="amount", test="like", value="1")


def test_a_value_without_a_column_is_not_ignored(ask) -> None:
    with pytest.raises(InputError, match="Choose the column"):
        ask(value="3")


def test_sorting(ask, desk: Desk) -> None:
    amounts = desk.batch.samples["amount"].to_pylist()
    assert ask(sort="amount").rows[0] == min(range(120), key=amounts.__getitem__)
    assert ask(sort="amount", falling=True).rows[0] == max(range(120), key=amounts.__getitem__)
    assert ask(sort="anomaly_score", falling=True).rows[0] == desk.standing.scores.argmax()
    assert ask(sort="account").rows[:3] == [0, 1, 2]
    assert ask(falling=True).rows[0] == desk.standing.order[-1]


def test_answers_can_be_filtered(ask, desk: Desk) -> None:
    desk.answer(4, "anomaly", reviewer="Ada")
    desk.answer(5, "normal", reviewer="Ada")
    desk.answer(6, "skipped", reviewer="Ada")
    assert [ask(state=state).rows for state in ("anomaly", "normal", "skipped")] == [[4], [5], [6]]
    assert ask(state="open").n_rows == 117
    desk.learn()
    assert ask(state="anomaly").rows == [4]
    desk.undo("Ada")
    desk.undo("Ada")
    assert ask(state="normal").rows == []  # taken back, whatever the fit knows
