"""The page writer: rows, tables of means, templates, pictures."""

import numpy as np
import pytest

from expose_lab import pages
from expose_lab.pages import Column, Page, Rows, best_of, fill, grid
from expose_lab.store import Store

pytest.importorskip("jinja2", reason="needs the extra bench")


def rows():
    return Rows(
        {"who": who, "set": name, "seed": seed, "auroc": value + seed / 100, "key": f"{who}{name}{seed}", "s": 2.0}
        for who, name, value in (("a", "x", 0.5), ("a", "y", 0.7), ("b", "x", 0.8), ("b", "y", 0.6))
        for seed in (0, 2)
    )


def cells(text, line):
    return next(one.strip("| ").split(" | ") for one in text.splitlines() if one.startswith(f"| {line} |"))


def test_a_cell_is_the_mean_of_means_with_the_spread_over_seeds():
    text = grid(rows(), {"first": {"who": "a"}, "none": {"who": "c"}}, {"all": Column("auroc")}, "who")
    # seed 0: (0.5 + 0.7) / 2 = 0.60; seed 2: 0.62; mean 0.61, deviation sqrt(2) / 100
    assert cells(text, "first") == ["first", "61.0 ± 1.4"]
    assert text.splitlines()[-1] == "| none |  |"
    assert text.splitlines()[0] == "| who | all |"


def test_a_column_has_its_own_rows_scale_and_digits():
    columns = {
        "x": Column("auroc", {"set": "x"}, scale=1, digits=2, spread=False),
        "both": [Column("auroc", {"set": "x"}, spread=False), Column("auroc", {"set": ("x", "y")}, spread=False)],
    }
    text = grid(rows(), {"b": {"who": "b"}}, columns, over="set")
    assert cells(text, "b") == ["b", "0.81", "81.0 / 71.0"]


def test_the_best_is_bold_in_its_direction_and_nothing_where_all_are_alike():
    lines = {"a": {"who": "a"}, "b": {"who": "b"}}
    columns = {name: Column("auroc", {"set": name}, spread=False) for name in ("x", "y")}
    assert cells(grid(rows(), lines, columns, bold="column"), "b") == ["b", "**81.0**", "61.0"]
    assert cells(grid(rows(), lines, columns, bold="line", best=min), "a") == ["a", "**51.0**", "71.0"]
    assert cells(grid(rows(), lines, columns, bold=lambda line, column: column == "y"), "a")[2] == "**71.0**"
    assert best_of(np.array([[50.0, 50.04], [np.nan, 3.0]]), "line", max).tolist() == [[False, False], [False, True]]


def test_rows_are_chosen_counted_and_summed():
    assert len(rows().where(who="a", seed=(0, 1))) == 2
    assert rows().each("set") == ["x", "y"]
    assert rows().per("auroc", "seed") == pytest.approx([0.65, 0.67])
    twice = Rows([*rows(), *rows()])
    assert twice.once("s") == 16.0  # eight keys


@pytest.fixture
def page(tmp_path):
    with Store(tmp_path / "results" / "toy.parquet") as store:
        store.add([{**row, "cell": row["key"], "finished": "2026-01-02T03:04"} for row in rows()])
    (tmp_path / "docs" / "benchmark" / "findings").mkdir(parents=True)
    return Page("benchmark/toy.md", tmp_path / "results", tmp_path / "docs")


def test_a_page_is_written_with_its_pictures_and_findings(page, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "TEMPLATES", tmp_path)
    text = "# Toy\n\n{{ findings }}\n\n{% for x in some %}\n{{ count(x, 'set') }}\n\n{% endfor %}\n{{ picture }}\n"
    (tmp_path / "toy.md").write_text(text, encoding="utf-8")
    old = tmp_path / "docs" / "images" / "benchmark" / "toy-old.svg"
    old.parent.mkdir(parents=True)
    old.touch()
    (page.docs / "benchmark" / "findings" / "toy.md").write_text("By hand.\n", encoding="utf-8")
    shown = page.picture("benchmark/toy-new.svg", "<svg/>", "A toy")
    page.write("toy.md", {"some": [1, 2], "picture": shown})
    written = (page.docs / "benchmark" / "toy.md").read_text(encoding="utf-8")
    assert written == "# Toy\n\nBy hand.\n\n1 set\n\n2 sets\n\n![A toy](../images/benchmark/toy-new.svg)\n"
    assert not old.exists()
    assert (page.docs / "images" / "benchmark" / "toy-new.svg").read_text() == "<svg/>"


def test_what_a_template_names_must_be_there(tmp_path):
    (tmp_path / "toy.md").write_text("{{ absent }}", encoding="utf-8")
    with pytest.raises(Exception, match="absent"):
        fill(tmp_path / "toy.md", {})


def test_of_a_cell_that_was_measured_again_the_later_rows_count(page):
    again = {**rows()[0], "auroc": 0.1, "key": "new", "cell": rows()[0]["key"], "finished": "2026-02-02T03:04"}
    with Store(page.results / "toy.parquet") as store:
        store.add([again])
    found = page.rows("toy")
    assert len(found) == len(rows())
    assert found.where(key="new")[0]["auroc"] == 0.1
    assert found.finished == "2026-02-02"
