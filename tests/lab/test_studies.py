"""Studies: they run on the one runner, go on where they were, and their pages come out of the stored results."""

import json
import re
from pathlib import Path

import pytest

from expose_lab import study
from expose_lab.pages import Page
from expose_lab.store import read_table
from expose_lab.studies import studies
from expose_lab.studies.base import Benchmark, Drawing, Study

ROOT = Path(__file__).parents[2]
RESULTS, DOCS = ROOT / "benchmarks" / "results", ROOT / "docs"
PAGES = [
    one.name
    for one in studies().values()
    if not isinstance(one, Drawing) and one.page and (RESULTS / f"{one.name}.parquet").exists()
]
DONE = []


def measure(cell, data):
    DONE.append(cell["seed"])
    if cell["seed"] == 1 and len(DONE) == 2:
        raise KeyboardInterrupt
    yield {"what": "a", "value": cell["seed"] + 0.5}
    yield {"what": "b", "value": 2.0}


TOY = Study(
    "toy",
    "a toy",
    cells=lambda seeds: ({"seed": seed} for seed in range(seeds)),
    measure=measure,
    options={"seeds": 3},
)


@pytest.fixture
def toy(monkeypatch):
    DONE.clear()
    monkeypatch.setattr(study, "studies", lambda: {"toy": TOY})
    monkeypatch.setattr(study, "last_commit", lambda path: "cafe")
    return TOY


def test_a_study_that_was_interrupted_goes_on(toy, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        study.main(["toy", "--results", str(tmp_path)])
    assert read_table(tmp_path / "toy.parquet").num_rows == 2
    study.main(["toy", "--results", str(tmp_path)])
    study.main(["toy", "--results", str(tmp_path), "--set", "seeds=2"])
    assert DONE == [0, 1, 1, 2]
    rows = read_table(tmp_path / "toy.parquet").to_pylist()
    assert [(row["seed"], row["what"], row["value"]) for row in rows[2:4]] == [(1, "a", 1.5), (1, "b", 2.0)]
    assert json.loads(rows[0]["cell"]) == {"seed": 0}
    assert rows[0]["measured_at"] is None
    assert len({row["key"] for row in rows}) == 3


def test_rows_are_carried_over_to_changed_code_only_when_asked_and_say_so(toy, tmp_path, monkeypatch):
    given = ["toy", "--results", str(tmp_path), "--set", "seeds=1"]
    study.main(given)
    monkeypatch.setattr("expose_lab.studies.base.code_of", lambda roots: "other code")
    study.main(["carry", *given[:3]])
    study.main(given)
    assert DONE == [0]
    rows = read_table(tmp_path / "toy.parquet").to_pylist()
    assert {(row["code"], row["measured_at"]) for row in rows} == {("other code", "cafe")}
    monkeypatch.setattr("expose_lab.studies.base.code_of", lambda roots: "yet another")
    study.main(given)
    assert len(DONE) == 2


@pytest.mark.parametrize("arguments", [["nothing"], ["toy", "--set", "sedes=1"]])
def test_wrong_names_are_refused(toy, arguments):
    with pytest.raises(SystemExit, match="toy"):
        study.main(arguments)


def test_every_study_says_what_it_is(capsys):
    study.main(["list"])
    said = capsys.readouterr().out
    assert all(name in said for name in studies())
    for one in studies().values():
        if isinstance(one, Study) and not isinstance(one, Benchmark):
            facts = list(one.cells(**one.options))
            assert facts
            json.dumps(facts)  # plain values


@pytest.mark.parametrize("name", PAGES)
def test_a_page_comes_out_of_the_stored_results_as_it_is_committed(name, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra bench")
    one = studies()[name]
    page = Page(one.page, RESULTS, tmp_path)
    for needed in ("benchmark/findings", "few-labels-method.md"):
        (tmp_path / needed).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / needed).symlink_to(DOCS / needed)
    page.write(f"{name}.md", one.context(page))
    text = (tmp_path / one.page).read_text(encoding="utf-8")
    assert text == (DOCS / one.page).read_text(encoding="utf-8"), f"python -m expose_lab.study {name} --page"
    assert f"python -m expose_lab.study {name}" in text
    assert not re.search(r"\bnan\b", text)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({row.count("|") for row in block.splitlines()}) == 1, f"a ragged table: {block[:200]}"
    for picture in re.findall(r"!\[.+?\]\((.+?)\)", text):
        target = (tmp_path / one.page).parent / picture
        assert target.resolve().is_file() or (DOCS / one.page).parent.joinpath(picture).is_file()


def test_every_stored_row_is_of_a_cell_of_its_study_and_says_where_it_was_measured():
    for one in studies().values():
        path = RESULTS / f"{one.name}.parquet"
        if isinstance(one, Drawing) or not path.exists():
            continue
        rows = read_table(path, one.schema()).to_pylist()
        if not isinstance(one, Benchmark):
            assert {"cell", "measured_at"} <= rows[0].keys(), one.name
            names = {tuple(sorted(facts)) for facts in one.cells(**one.options)}
            assert {tuple(sorted(json.loads(row["cell"]))) for row in rows} <= names, one.name
