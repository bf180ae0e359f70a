import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expose.objectives import Descend

ROOT = Path(__file__).parents[2]
PAGES = {"README.md": ROOT / "README.md", "index.md": ROOT / "docs" / "index.md"}
POINTING = PAGES | {name: ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")}


def code(page: str, number: int = 0) -> str:
    """A Python block of a first page."""
    return re.findall(r"^```python\n(.*?)^```", PAGES[page].read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[
        number
    ]


def test_the_first_pages_show_the_same_five_lines():
    assert code("README.md") == code("index.md")
    assert len([line for line in code("README.md").splitlines() if line]) == 5


def test_the_five_lines_suspect_what_was_planted_in_a_file(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 4))
    values[:9] += 8
    pd.DataFrame(values, columns=list("abcd")).to_csv(tmp_path / "transactions.csv", index=False)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    exec(compile(code("README.md"), "README.md", "exec"), names)
    found = set(names["detector"].suspects_.row)
    assert set(range(9)) <= found
    assert len(found) <= 10
    assert capsys.readouterr().out.replace(" ", "").startswith("[(1,")


def test_the_classifier_doubts_photos_of_no_class(capsys):
    rng = np.random.default_rng(0)
    photos = 0.2 * rng.random((120, 9, 9))
    photos[:60, :4] += 0.7
    photos[60:, 5:] += 0.7
    known = {
        "photos": photos,
        "names": np.repeat(["above", "below"], 60),
        "other_photos": rng.random((200, 9, 9)),
        "new_photos": np.concatenate([photos[[0, 60]], rng.random((1, 9, 9))]),
        "Descend": Descend,
    }
    shorter = code("README.md", 1).replace("random_state=0", "random_state=0, recipe=Descend(epochs=15)")
    exec(compile(shorter, "README.md", "exec"), known)
    assert capsys.readouterr().out.startswith("['above' 'below'")
    scores = known["classifier"].anomaly_score(known["new_photos"])
    assert scores[2] > max(scores[:2])


@pytest.mark.parametrize("page", POINTING)
def test_what_a_first_page_points_to_is_there(page):
    text = POINTING[page].read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text) if "://" not in target]
    assert targets
    assert [target for target in targets if not (POINTING[page].parent / target).exists()] == []
