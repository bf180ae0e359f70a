"""``--set name=value``: read by the declarations that Python has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import Run

from expose import AnomalyDetector, OutlierExposureClassifier
from expose.cli import classify, fit
from expose.cli.settings import Setting, chosen, fields_of, meanings, parameters_of, settings_of, value_of
from expose.errors import InputError
from expose.objectives import NTL, OBJECTIVES, Descend, Neighbours, Objective


@pytest.mark.parametrize(
    ("accepts", "default", "text", "value"),
    [
        (int, 1, "7", 7),
        (int | None, None, "none", None),
        (int | None, 5, "", None),
        (float, 1.0, "7", 7.0),
        (float | None, 1.0, "1e-4", 1e-4),
        (float | str, "auto", "auto", "auto"),
        (float | str, "auto", "0.5", 0.5),
        (bool, True, "no", False),
        (bool | None, None, "TRUE", True),
        (str, "adam", "sgd", "sgd"),
        (str, "adam", "1", "1"),
        (Sequence[float], (0.1,), "0.1, 0.2", (0.1, 0.2)),
        (tuple[float, float] | None, None, "-8,-4", (-8.0, -4.0)),
        (str | list[str] | Mapping[str, float], "uniform", "uniform,energy", ["uniform", "energy"]),
        (str | list[str] | Mapping[str, float], "uniform", "energy:0.1", {"energy": 0.1}),
        (Any, 3, "7", 7),
        (Any, None, "none", None),
        (Any, None, "quantile", "quantile"),
        (Any, (1, 2), "3,4", (3, 4)),
    ],
)
def test_a_value_is_read_by_its_declaration(accepts: Any, default: Any, text: str, value: Any) -> None:
    found = value_of(Setting("name", default, accepts), text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("accepts", "text", "says"),
    [
        (int, "1.5", "takes int; got '1.5'"),
        (int | None, "auto", "takes none or int; got 'auto'"),
        (bool, "2", "takes bool"),
        (float, "many", "takes float"),
        (Sequence[float], "a,b", "takes a list of float with commas"),
    ],
)
def test_a_value_of_another_type_is_refused(accepts: Any, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        value_of(Setting("name", None, accepts), text)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_setting_of_every_objective_is_known_and_explained(name: str) -> None:
    known = settings_of(OBJECTIVES[name])
    given = {one.name: value_of(one, text_of(one.default)) for one in known.values()}
    assert OBJECTIVES[name](**given).settings() == OBJECTIVES[name]().settings(), "as text, the defaults are the same"
    assert all(one.meaning for one in known.values())
    assert not known.keys() & parameters_of(AnomalyDetector, fit.BEHIND_SET).keys()


def text_of(value: Any) -> str:
    """A value as it is written after ``--set``."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def test_settings_of_the_classifier_are_known_and_explained() -> None:
    own, recipe = parameters_of(OutlierExposureClassifier, classify.BEHIND_SET), fields_of(Descend)
    assert set(own) == set(classify.BEHIND_SET)
    assert not own.keys() & recipe.keys()
    assert all(one.meaning for one in [*own.values(), *recipe.values()])


def test_an_objective_of_ones_own_without_declarations() -> None:
    class Own(Objective):
        def __init__(self, depth=3, name_of=None, **training):  # type: ignore[no-untyped-def]
            super().__init__(**training)
            self.depth, self.name_of = depth, name_of

    known = settings_of(Own)
    found = chosen(["depth=4", "name_of=x", "epochs=2"], known, "expose fit", (), outliers=False)
    assert found == {"depth": 4, "name_of": "x", "epochs": 2}
    assert known["depth"].meaning == ""


def test_a_declaration_that_cannot_be_evaluated_is_passed_over() -> None:
    class Own(Objective):
        def __init__(self, depth: NoSuchType = 3, **training: Any) -> None:  # type: ignore[name-defined]  # noqa: F821
            super().__init__(**training)

    assert value_of(settings_of(Own)["depth"], "4") == 4


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["epochs"], "takes name=value"),
        (["=5"], "there is no such setting"),
        (["epochs=5", "epochs=6"], "each name once"),
        (["epoch=5"], "Did you mean 'epochs'"),
        (["wings=5"], "there is no such setting. 'expose fit --set help' lists all"),
        (["seed=5"], "an option of its own, --seed"),
        (["outlier_weight=0.5"], "only with --outliers"),
    ],
)
def test_what_cannot_be_set(values: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        chosen(values, settings_of(NTL), "expose fit", {"seed": 0}, outliers=False)


def test_a_setting_of_another_way_to_train_is_unknown(run: Run, data: Path, tmp_path: Path) -> None:
    result = run("fit", data, "--out", tmp_path / "model", "--set", "epochs=5")
    assert result.exit_code == 2
    assert "'expose fit --objective neighbours --set help' lists all" in result.stderr


def test_settings_reach_the_objective(run: Run, data: Path, tmp_path: Path) -> None:
    settings = ["--set", "near=3", "--set", "wide=0.2,0.4", "--set", "reference_points=100"]
    result = run("fit", data, "--out", tmp_path / "model", "--ignore", "note,account", *settings)
    assert result.exit_code == 0, result.output
    objective = AnomalyDetector.load(tmp_path / "model").objective
    expected = Neighbours(near=3, wide=[0.2, 0.4], reference_points=100)  # JSON knows no tuples
    assert objective.settings() == expected.settings()


@pytest.mark.parametrize(
    ("arguments", "there", "absent"),
    [
        (["fit"], ["ensemble_size=1", "transformations=9", "near=5", "epochs=none", "reference_points=2048"], []),
        (["fit", "--objective", "ntl"], ["transformations=9", "epochs=none"], ["near=", "reference_points"]),
        (["fit", "--objective", "neighbours"], ["wide=0.1,0.2,0.3", "reference_points=2048"], ["epochs"]),
        (["classify"], ["terms=uniform", "score_function=auto", "cosine=none"], ["near="]),
    ],
)
def test_help_lists_them(run: Run, arguments: list[str], there: list[str], absent: list[str]) -> None:
    result = run(*arguments, "--set", "help")
    assert result.exit_code == 0
    assert all(text in result.stdout for text in there)
    assert not any(text in result.stdout for text in absent)
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_help_of_an_objective_that_there_is_not(run: Run) -> None:
    result = run("fit", "--objective", "wings", "--set", "help")
    assert (result.exit_code, "--objective must be auto or one of" in result.stderr) == (2, True)


def test_meanings_are_read_off_the_docstring() -> None:
    class Documented:
        """Summary.

        Parameters
        ----------
        one, two : int or None, default=None
            First sentence, after Lin et al. of 2020. Second.
        three

        Attributes
        ----------
        four : int
            No parameter.
        """

    assert meanings(Documented) == {
        **dict.fromkeys(["one", "two"], "int or None. First sentence, after Lin et al. of 2020."),
        "three": "",
    }
