"""Keys follow imports: changed code of whatever makes a row changes its key, other code does not."""

import ast
import shutil

import pytest

from expose import AnomalyDetector
from expose_lab import baselines, grid, ours, provenance
from expose_lab.contenders import own
from expose_lab.provenance import code_of, homes, imported, reached, statements, without_docstrings
from expose_lab.studies import studies
from expose_lab.studies.base import Study, StudyCell


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A copy of our code, to change."""
    places = {package: tmp_path / package for package in provenance.OURS}
    for package, place in places.items():
        shutil.copytree(provenance.folder_of(package), place, ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    monkeypatch.setattr(provenance, "folder_of", places.__getitem__)
    provenance.forget()
    yield tmp_path
    provenance.forget()


def who(detector, settings):
    if settings == "standard":
        return baselines([detector], trimmed=[])[0]
    return ours([detector], ["soft"], settings)[0]


def digest(contender):
    provenance.forget()
    return code_of(contender.roots, grid.MAKING)


CASES = [
    ("expose/objectives/ntl.py", "ntl", "brief", True),
    ("expose/objectives/ntl.py", "icl", "brief", False),
    ("expose/objectives/ntl.py", "LOF", "standard", False),
    ("expose/objectives/linking.py", "neighbours", "default", True),
    ("expose/objectives/linking.py", "ntl", "default", False),
    ("expose/objectives/svdd.py", "deep_sad", "default", True),
    ("expose/objectives/margin.py", "flow", "default", True),
    ("expose/outliers/rows.py", "ntl", "default", True),
    ("expose/training/descend.py", "ntl", "brief", True),
    ("expose/training/descend.py", "LOF", "standard", False),
    ("expose/encoders/table.py", "ntl", "brief", True),
    ("expose/kinds/table.py", "ntl", "brief", True),  # reached only because it registers itself
    ("expose_lab/classical.py", "LOF", "standard", True),
    ("expose_lab/metrics/ranking.py", "LOF", "standard", True),
    ("expose_lab/metrics/calibration.py", "LOF", "standard", False),
    ("expose_lab/protocols.py", "ntl", "brief", True),
    ("expose_lab/runner.py", "ntl", "brief", False),
    ("expose_lab/summary.py", "ntl", "brief", False),
    ("expose/cli/app.py", "ntl", "brief", False),
]


@pytest.mark.parametrize(("file", "detector", "settings", "counts"), CASES)
def test_only_code_that_makes_a_row_counts(source, file, detector, settings, counts):
    contender = who(detector, settings)
    before = digest(contender)
    path = source / file
    text = path.read_text(encoding="utf-8")
    for added, changes in (("\n# a comment\n", False), ("\nADDED = 1\n", counts)):
        path.write_text(text + added, encoding="utf-8")
        assert (digest(contender) != before) == changes


@pytest.mark.parametrize(("name", "counts"), [("measure", True), ("fit_all", True), ("published", False)])
def test_of_the_files_that_make_cells_and_contenders_only_what_is_used_counts(source, name, counts):
    contender = who("ntl", "brief")
    before = digest(contender)
    path = source / "expose_lab" / ("grid.py" if name == "measure" else "contenders.py")
    text = path.read_text(encoding="utf-8")
    at = text.index(f"def {name}(")
    path.write_text(text[:at] + text[at:].replace('"""\n', '"""\n    changed = 1\n', 1), encoding="utf-8")
    assert (digest(contender) != before) == counts


def test_an_own_estimator_counts_with_the_objective_in_it(source):
    contender = own({"ntl": AnomalyDetector("icl")})[0]  # whatever the caller calls it
    before = digest(contender)
    path = source / "expose" / "objectives" / "icl.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    assert digest(contender) != before


def test_a_study_is_keyed_by_what_measures_and_not_by_its_page(source):
    study = studies()["demo"]
    assert isinstance(study, Study)
    cell = StudyCell("demo", {"detector": "defaults", "seed": 0}, study.measure, "")
    path = source / "expose_lab" / "studies" / "demo.py"
    text = path.read_text(encoding="utf-8")
    keys = []
    for changed in (text, text + "\ndef context(page):\n    return {}\n", text.replace("(10, 50,", "(11, 50,")):
        path.write_text(changed, encoding="utf-8")
        provenance.forget()
        keys.append(cell.keys)
    assert keys[0] == keys[1] != keys[2]
    assert "expose.estimators.detector" in reached([cell.root])
    assert cell.keys != StudyCell("demo", {"detector": "defaults", "seed": 1}, study.measure, "").keys


def test_names_lead_to_where_they_are_defined():
    assert homes("expose", "AnomalyDetector") == {"expose.estimators.detector"}
    assert homes("expose.objectives", "make_objective") == {"expose.objectives.base"}
    assert homes("expose.decide", "Mixture") == {"expose.decide.mixture"}
    assert homes("expose_lab.datasets", "layouts") == {"expose_lab.datasets.layouts"}
    assert homes("numpy", "array") == set()
    assert {"expose.kinds.table", "expose.kinds.image"} <= homes("expose.kinds", "kind_of")
    assert "expose_lab.grid" not in imported("expose_lab.provenance")


def test_code_behind_type_checking_does_not_count():
    lazy = "expose_lab.store"
    assert any(isinstance(node, ast.If) for node in statements(lazy))
    assert reached([lazy]) == {lazy, "expose.atomic", "expose.errors", "expose.stores"}


def test_comments_docstrings_and_layout_do_not_count():
    code = 'def f(a):\n    """Say."""\n    return a + 1\n'
    plain = ast.unparse(without_docstrings(code))
    assert plain == ast.unparse(without_docstrings("def f(a):\n    'Said.'\n\n    return (a + 1)  # so\n"))
    assert plain != ast.unparse(without_docstrings(code.replace("1", "2")))
    assert ast.unparse(without_docstrings("x = 'text'")) != ast.unparse(without_docstrings("x = 'other'"))


def test_what_is_not_there_is_told():
    with pytest.raises(ValueError, match="has no 'nothing'"):
        statements("expose_lab.grid:nothing")
    with pytest.raises(ValueError, match="no module"):
        statements("expose_lab.nothing")
