"""``expose data``: list, fetch and path."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import Run, facts, run_apart

from expose_lab.datasets import registry
from expose_lab.datasets.registry import Entry, Source, digest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPOSE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entry]:
    """A set that a server of our own offers."""
    X, y = np.eye(9, 4, dtype=np.float32), (np.arange(9) < 2).astype(np.int8)
    (tmp_path / "served").mkdir()
    np.savez(tmp_path / "served" / "toy.npz", X=X, y=y)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        source = Source(f"http://127.0.0.1:{server.server_port}/toy.npz", "npz")
        entry = Entry("toy", "extra", 9, 4, 2, "the first", "CC BY 4.0", "Someone (2020)", (source,), digest(X, y))
        monkeypatch.setitem(registry.REGISTRY, "toy", entry)
        monkeypatch.setitem(registry.GROUPS, "extra", ("toy", "mulcross"))
        yield entry
        server.shutdown()


@pytest.mark.parametrize("command", [[], ["list"], ["fetch"], ["path"]])
def test_help_has_examples(run: Run, command: list[str]) -> None:
    result = run("data", *command, "--help")
    assert result.exit_code == 0
    assert f"expose data {' '.join(command)}" in result.stdout.split("Examples:")[1]
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_help_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.argv = ['expose', 'data', 'list', '--help']\ntry:\n    import expose.cli; expose.cli.main()\n"
    )
    code += "except SystemExit:\n    print('HEAVY', sorted({'torch', 'numpy', 'sklearn', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_list_says_what_there_is_and_what_is_here(run: Run, folder: Path) -> None:
    result = run("data", "list")
    assert result.exit_code == 0
    assert str(folder) in result.stdout
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert lines["glass"].split()[1:8] == ["214", "9", "9", "4.2", "%", "no", "BSD-2-Clause"]
    assert "yes" in lines["thyroid"]
    assert "CC BY-NC-SA" in lines["mvtec_vit/bottle"]
    assert lines["2"].startswith("2 of 73 sets here")


def test_list_for_machines(run: Run, folder: Path) -> None:
    (folder / "tabular").mkdir(parents=True)
    np.savez(folder / "tabular" / "glass.npz", X=np.eye(2), y=np.arange(2))
    said = facts(run("data", "list", "--group", "paper", "--json"))
    sets = {one["name"]: one for one in said["datasets"]}
    assert len(sets) == 30
    assert sets["glass"]["path"] == str(folder / "tabular" / "glass.npz")
    assert sets["wine"] | {"here": None} == sets["wine"] | {"here": None, "path": None, "rows": 129}
    assert sets["wine"]["here"] is False
    assert sets["thyroid"]["path"].endswith("thyroid.csv.gz")
    assert sets["mulcross"]["path"] == "computed"


def test_list_refuses_an_unknown_group(run: Run) -> None:
    result = run("data", "list", "--group", "papers")
    assert result.exit_code == 2
    assert "paper, extra, more, mixed, embedding, all; got 'papers'" in result.stderr


def test_fetch_shows_licence_and_citation_and_verifies(run: Run, toy: Entry, folder: Path) -> None:
    result = run("data", "fetch", "toy")
    assert result.exit_code == 0, result.output
    for said in ("toy: 9 rows, 4 columns", "CC BY 4.0", "Someone (2020)", f"Verified      {folder}", "kB"):
        assert said in result.stdout
    assert run("data", "path", "toy").stdout.strip() == str(folder / "tabular" / "toy.npz")


def test_fetch_knows_groups_folders_and_machines(run: Run, toy: Entry, folder: Path, tmp_path: Path) -> None:
    said = facts(run("data", "fetch", "extra", "--data-dir", tmp_path / "else", "--json"))
    assert [one["name"] for one in said["datasets"]] == ["toy", "mulcross"]
    assert said["datasets"][0]["path"] == str(tmp_path / "else" / "tabular" / "toy.npz")
    assert not folder.exists()
    assert run("data", "fetch", "toy", "--quiet").output == ""


def test_fetch_goes_on_after_a_failure_and_tells_it(run: Run, toy: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Entry(**{**vars(toy), "name": "gone", "sources": (Source(toy.sources[0].url + "x", "npz"),)})
    monkeypatch.setitem(registry.REGISTRY, "gone", gone)
    result = run("data", "fetch", "gone", "toy")
    assert result.exit_code == 2
    assert "answers 404" in result.stderr
    assert "(1 set fetched)" in result.stderr
    assert run("data", "path", "toy").exit_code == 0
    assert run("data", "path", "gone").exit_code == 2


def test_what_has_no_origin_is_left_out_of_a_group_but_told_by_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.GROUPS, "paper", ("speech", "thyroid"))
    group = run("data", "fetch", "paper")
    assert group.exit_code == 0
    assert "speech: left out" in group.stdout
    named = run("data", "fetch", "speech")
    assert named.exit_code == 2
    assert "not available" in named.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("glass", "'expose data fetch glass'"),
        ("glas", "Did you mean glass?"),
        ("speech", "not available"),
        ("mulcross", "computed"),
    ],
)
def test_path_of_what_is_not_here(run: Run, name: str, said: str) -> None:
    result = run("data", "path", name)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_path_of_the_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("data", "path").stdout == f"{folder}\n"
    assert run("data", "path", "--data-dir", tmp_path).stdout == f"{tmp_path}\n"
    assert facts(run("data", "path", "thyroid", "--json"))["path"].endswith("thyroid.csv.gz")


def test_it_runs_as_a_command_of_its_own() -> None:
    done = run_apart("data", "path", "glass")
    assert (done.returncode, done.stdout) == (2, "")
