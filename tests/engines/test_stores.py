"""Object stores of three makes on this machine: what is read and written there is what local files would be."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from made import workbook
from typer.testing import CliRunner, Result
from wire import HOST, Wire, free_port, served

from expose import AnomalyDetector, Scorer, load
from expose.cli.app import app
from expose.errors import InputError, ModelFolderError
from expose.files import read, scan, writer
from expose.persistence import load_folder, save_folder
from expose.scoring.work import scoring_with
from expose.stores import Stored, StoreError, place_of

# of the emulator, and public
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
BUCKET = "rows-of-ours"
S3 = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "knows", "AWS_REGION": "us-east-1"}


class Store(NamedTuple):
    """A store with one empty bucket."""

    url: str
    wire: Wire

    def __truediv__(self, name: str) -> str:
        return f"{self.url}/{name}"

    def names(self, below: str = "") -> list[str]:
        """What is there."""
        place = place_of(self / below)
        assert isinstance(place, Stored)
        return sorted(one.key for one in place.rglob())

    def put(self, name: str, content: bytes) -> str:
        place_of(self / name).write_bytes(content)
        return self / name


def command_of(make: str, port: int) -> list[str]:
    """What starts a server of a store; the test is skipped if it is not installed."""
    if make == "s3":
        pytest.importorskip("moto.server", reason="needs moto: pip install 'expose[engines]'")
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    name, advice = {
        "gs": ("gcp-storage-emulator", "pip install gcp-storage-emulator"),
        "az": ("azurite-blob", "npm install -g azurite"),
    }[make]
    found = shutil.which(name) or pytest.skip(f"needs {name} on the PATH: {advice}")
    if make == "gs":
        return [found, "start", f"--host={HOST}", f"--port={port}", "--in-memory", f"--default-bucket={BUCKET}"]
    return [
        found,
        "--silent",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--blobHost",
        HOST,
        "--blobPort",
        f"{port}",
    ]


@pytest.fixture(scope="module", params=["s3", "gs", "az"])
def served_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    make, port = request.param, free_port()
    command = command_of(make, port)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        stack.enter_context(served(command, port))
        wire = Wire(port)
        end = f"{HOST}:{wire.port}"
        for name, value in S3.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{end}")
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://{HOST}:{port}")  # not over the wire, which it does not bear
        account = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=" + KEY
        patch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"{account};BlobEndpoint=http://{end}/devstoreaccount1;")
        store = Store(f"{make}://{BUCKET}", wire)
        if make != "gs":  # which has it
            make_bucket(place_of(store.url))
        yield store


def make_bucket(place: Any) -> None:
    from pyarrow import fs

    options = dict(place.options)
    options |= {"allow_bucket_creation": True} if place.system == "S3" else {}
    getattr(fs, f"{place.system}FileSystem")(**options).create_dir(place.bucket)


@pytest.fixture
def store(served_store: Store) -> Iterator[Store]:
    """The same, empty again."""
    yield served_store
    served_store.wire.mend()
    for place in list(place_of(served_store.url).rglob()):
        place.unlink()


@pytest.fixture
def cuttable(store: Store) -> Store:
    """The same, over the wire."""
    if store.url.startswith("gs://"):
        pytest.skip("the emulator is not reached over the wire")
    return store


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: Any) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def transactions(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.normal(50, 5, (rows, 4)), columns=[*"abcd"])
    table.insert(0, "account", [f"A{row:05d}" for row in range(rows)])
    table["shop"] = random.choice(["bakery", "books"], rows)
    table.loc[:11, "a"] += 400
    return table


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of rows in several formats, and a model."""
    folder = tmp_path_factory.mktemp("local")
    (folder / "rows" / "2026" / ".old").mkdir(parents=True)
    for number in range(3):
        transactions(80, number).to_parquet(folder / "rows" / "2026" / f"{number}.parquet", index=False)
    (folder / "rows" / "2026" / ".old" / "7.parquet").write_bytes(b"no data")
    transactions().to_csv(folder / "rows.csv", index=False)
    transactions().to_csv(folder / "rows.csv.gz", index=False)
    transactions().to_json(folder / "rows.jsonl", orient="records", lines=True)
    rows = transactions()
    workbook(folder / "rows.xlsx", {"May": [list(rows), *rows.values.tolist()]})
    shutil.make_archive(str(folder / "packed"), "zip", folder, "rows.csv")
    assert run("fit", folder / "rows", "--id", "account", "--out", folder / "model", "-q").exit_code == 0
    return folder


def copied(local: Path, store: Store) -> None:
    for file in (file for file in local.rglob("*") if file.is_file()):
        store.put(file.relative_to(local).as_posix(), file.read_bytes())


# ------------------------------------------------------------------------------------------------ every command


def test_all_commands_give_there_what_they_give_here(store: Store, local: Path, tmp_path: Path) -> None:
    copied(local, store)
    for name in ("rows", "rows/**/*.parquet"):
        fitted = done("fit", store / name, "--id", "account", "--out", store / "new", "--out-suspects", store / "s.csv")
        assert fitted["model"] == store / "new"
        assert (
            Scorer(store / "new").scores(local_rows(local)).tolist()
            == Scorer(local / "model").scores(local_rows(local)).tolist()
        )
    for name in (
        "rows.csv",
        "rows.csv.gz",
        "rows.jsonl",
        "rows.xlsx",
        "rows.xlsx#May",
        "packed.zip",
        "rows/2026/?.parquet",
    ):
        there = done("score", store / "new", store / name, "--out", store / "scores.parquet")
        here = done("score", local / "model", local / name, "--out", tmp_path / "scores.parquet")
        assert there["rows"] == here["rows"]
        assert read(store / "scores.parquet").equals(read(tmp_path / "scores.parquet")), name
    (tmp_path / "mixed").mkdir()
    done(
        "score",
        local / "model",
        store / "rows/2026/*.parquet",
        local / "rows.csv",
        "--out",
        tmp_path / "mixed" / "s.csv",
    )
    asked = done("query", store / "new", store / "rows", "--out", store / "label.csv", "-k", "4")
    answers = read(store / "label.csv").to_pandas()
    assert len(answers) == 4
    assert store / "label.csv" in asked["next"]
    store.put("label.csv", answers.assign(label=[1, 1, 0, 0]).to_csv(index=False).encode())
    again = done(
        *("fit", store / "rows", "--id", "account", "--answers", store / "label.csv"),
        *("--outliers", store / "rows.csv", "--out", store / "newer"),
    )
    assert again["known_anomalies"] == 2
    assert run("query", store / "new", store / "rows", "--out", store / "label.csv").exit_code == 2  # holds answers
    done("report", store / "newer", store / "rows", "--out", store / "report.html")
    assert place_of(store / "report.html").read_bytes().startswith(b"<!")
    classified = run("classify", store / "rows.csv", "--label", "shop", "--out", store / "shops", "--set", "epochs=1")
    assert classified.exit_code == 0, classified.output
    assert "account" in load(store / "shops").metadata_["command"] or load(store / "shops").fitted_


def local_rows(local: Path) -> pd.DataFrame:
    return pd.read_parquet(local / "rows" / "2026" / "0.parquet")


def test_a_detector_is_saved_and_loaded(store: Store) -> None:
    rows = transactions().drop(columns="account")
    detector = AnomalyDetector(random_state=0).fit(rows)
    for _ in range(2):  # a model may take the place of a model
        detector.save(store / "model")
    assert load(store / "model").anomaly_score(rows).tolist() == detector.anomaly_score(rows).tolist()
    assert AnomalyDetector.load(Path(store / "model")).n_features_in_ == 5  # a path has lost one of the slashes


def test_workers_of_an_engine_open_a_model_there(store: Store) -> None:
    rows = transactions().drop(columns=["account", "shop"])
    detector = AnomalyDetector(random_state=0).fit(rows)
    detector.save(store / "model")
    sent = pickle.loads(pickle.dumps(scoring_with(store / "model")))
    scores = sent.table(pa.Table.from_pandas(rows))["anomaly_score"]
    assert scores.to_numpy().tolist() == detector.anomaly_score(rows).tolist()


def test_arrays_of_a_model_that_was_replaced_go(store: Store) -> None:
    for value in (1.0, 2.0):
        save_folder(store / "model", {"value": value}, {"w": np.full(3, value)}, {"t": np.full(2, value)})
    meta, tensors = load_folder(store / "model")
    assert meta["value"] == 2.0
    assert tensors["w"].tolist() == [2.0] * 3
    assert len(store.names("model")) == 3


def test_a_folder_of_something_else_is_left_alone(store: Store) -> None:
    store.put("photos/cat.txt", b"meow")
    result = run("fit", store / "photos", "--out", store / "photos")
    assert result.exit_code == 3
    assert "left alone" in result.output
    with pytest.raises(ModelFolderError, match="left alone"):
        save_folder(store / "photos", {}, {"w": np.zeros(1)})
    assert store.names() == ["photos/cat.txt"]


# ---------------------------------------------------------------------------------------------- only what is needed


def test_of_parquet_only_the_columns_that_are_needed_are_read(cuttable: Store) -> None:
    random = np.random.default_rng(0)
    table = pa.table({f"column{number}": random.normal(size=100_000) for number in range(20)})
    with writer(cuttable / "wide.parquet") as sink:
        sink.write(table)
    before, size = cuttable.wire.passed, table.nbytes
    assert read(cuttable / "wide.parquet", columns=["column3"]).num_rows == 100_000
    assert cuttable.wire.passed - before < size / 8


def test_rows_of_text_come_as_they_are_read(cuttable: Store) -> None:
    cuttable.put("long.csv", b"amount,kind\n" + b"1.25,a\n" * 3_000_000)
    before = cuttable.wire.passed
    assert next(scan(cuttable / "long.csv", batch_rows=10)).num_rows == 10
    assert cuttable.wire.passed - before < 20 * 2**20  # of 21: looked at, then begun


# ------------------------------------------------------------------------------------------------- what goes wrong


def large(folder: Path) -> Path:
    """A file of several parts."""
    file = folder / "large.bin"
    file.write_bytes(np.random.default_rng(0).bytes(40 * 2**20))
    return file


def test_what_is_cut_while_it_is_sent_is_not_there(cuttable: Store, tmp_path: Path) -> None:
    place, file = place_of(cuttable / "large.bin"), large(tmp_path)
    cuttable.wire.cut_after(25 * 2**20)
    with pytest.raises(StoreError, match="does not answer"):
        place.upload(file)
    cuttable.wire.mend()
    assert not place.exists()


def test_what_was_there_stays_when_sending_fails(cuttable: Store, tmp_path: Path) -> None:
    cuttable.put("large.bin", b"older")
    cuttable.wire.cut_after(25 * 2**20)
    with pytest.raises(StoreError):
        place_of(cuttable / "large.bin").upload(large(tmp_path))
    cuttable.wire.mend()
    assert place_of(cuttable / "large.bin").read_bytes() == b"older"


def test_scores_of_rows_that_cannot_be_read_to_the_end_are_not_there(cuttable: Store, local: Path) -> None:
    cuttable.put("long.csv", transactions(60_000).to_csv(index=False).encode())
    cuttable.wire.cut_after(3 * 2**20)
    result = run("score", local / "model", cuttable / "long.csv", "--out", cuttable / "scores.csv")
    assert result.exit_code == 2
    assert "does not answer" in result.output
    cuttable.wire.mend()
    assert cuttable.names() == ["long.csv"]


def test_parquet_that_cannot_be_read_to_the_end_says_so(cuttable: Store) -> None:
    with writer(cuttable / "rows.parquet") as sink:
        sink.write(pa.table({"a": np.random.default_rng(0).normal(size=2_000_000)}))
    cuttable.wire.cut_after(6 * 2**20)
    with pytest.raises(InputError, match="does not answer"):
        read(cuttable / "rows.parquet")


def test_a_model_that_cannot_be_sent_leaves_the_older_one(cuttable: Store) -> None:
    save_folder(cuttable / "model", {"value": 1}, {"w": np.zeros(3)})
    cuttable.wire.cut_after(3 * 2**20)
    with pytest.raises(StoreError):
        save_folder(cuttable / "model", {"value": 2}, {"w": np.random.default_rng(0).random(10**6)})
    cuttable.wire.mend()
    assert load_folder(cuttable / "model")[0] == {"value": 1}


def test_what_is_missing_is_named(store: Store, local: Path, tmp_path: Path) -> None:
    nobody = f"{store.url.split('://')[0]}://nobody-has-this"
    out = tmp_path / "out.csv"
    for arguments, said in (
        (("score", local / "model", store / "none.csv", "--out", out), "there is no file"),
        (("score", local / "model", store / "none/", "--out", out), "there is no file"),
        (("score", local / "model", store / "*.csv", "--out", out), "there is no file"),
        (("score", local / "model", f"{nobody}/a.csv", "--out", out), "nobody-has-this'. Make it"),
        (("score", local / "model", local / "rows.csv", "--out", f"{nobody}/s.csv"), "nobody-has-this'. Make it"),
        (("fit", local / "rows.csv", "--out", f"{nobody}/model"), "nobody-has-this'. Make it"),
        (("report", local / "model", local / "rows.csv", "--out", f"{nobody}/r.html"), "nobody-has-this'. Make it"),
    ):
        result = run(*arguments)
        assert (result.exit_code, said in result.output) == (2, True), result.output
    missing = run("score", store / "nomodel", local / "rows.csv", "--out", out)
    assert missing.exit_code == 3
    assert "There is no model at" in missing.output
    store.put("photos/cat.md", b"meow")
    result = run("score", local / "model", store / "photos", "--out", out)
    assert result.exit_code == 2
    assert "no CSV or Parquet file in the folder" in result.output
    assert not out.exists()
    assert store.names() == ["photos/cat.md"]


def test_no_result_is_written_over_what_is_read(store: Store, local: Path) -> None:
    copied(local, store)
    for data, out, said in (
        ("rows.csv", "rows.csv", "is an input"),
        ("rows/**/*.parquet", "rows/2026/9.parquet", "is an input"),
        ("rows", "rows/scores.csv", "lies in the input folder"),
        ("rows.csv", "rows", "is a folder"),
    ):
        result = run("score", local / "model", store / data, "--out", store / out)
        assert (result.exit_code, said in result.output) == (2, True), result.output


def test_a_store_that_is_gone_is_named_soon(cuttable: Store, local: Path, tmp_path: Path) -> None:
    cuttable.wire.cut_after(0)
    result = run("score", local / "model", cuttable / "rows.csv", "--out", tmp_path / "s.csv")
    assert result.exit_code == 2
    assert f"{HOST}:{cuttable.wire.port} does not answer" in result.output
    assert not list(tmp_path.iterdir())


def test_a_key_that_is_not_known_is_refused_before_any_work(
    local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with served(command_of("s3", port), port, INITIAL_NO_AUTH_ACTION_COUNT="0"):
        for name, value in (S3 | {"AWS_ENDPOINT_URL": f"http://{HOST}:{port}"}).items():
            monkeypatch.setenv(name, value)
        there, rows = f"s3://{BUCKET}/x", local / "rows.csv"
        for arguments in (
            ("score", local / "model", there, "--out", tmp_path / "s.csv"),
            ("score", local / "model", rows, "--out", f"{there}.csv"),
            ("score", there, rows, "--out", tmp_path / "s.csv"),
            ("fit", rows, "--out", there),
        ):
            result = run(*arguments)
            said = f"{HOST}:{port} refuses access to bucket {BUCKET!r}. Check the credentials (AWS_ACCESS_KEY_ID"
            assert (result.exit_code, said in result.output) == (2, True), result.output
    assert not list(tmp_path.iterdir())


def test_no_secret_is_written(store: Store, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a URL that holds one, in a model, a report, or what is said."""
    if not store.url.startswith("s3://"):
        pytest.skip("only of S3 a URL holds all that is needed")
    copied(local, store)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    url = f"s3://AKIA:TOP%2FSECRET@{BUCKET}"
    monkeypatch.setattr("sys.argv", ["expose", "fit", f"{url}/rows", "--out", f"{url}/new"])
    said = [
        run("fit", f"{url}/rows", "--id", "account", "--out", f"{url}/new", "--out-suspects", f"{url}/s.csv"),
        run("score", f"{url}/new", f"{url}/rows.csv", "--out", f"{url}/scores.csv", "--json"),
        run("query", f"{url}/new", f"{url}/rows", "--out", f"{url}/label.csv"),
        run("report", f"{url}/new", f"{url}/rows", "--out", f"{url}/report.html"),
        run("score", f"{url}/new", f"{url}/none.csv", "--out", f"{url}/scores.csv"),
    ]
    assert [one.exit_code for one in said] == [0, 0, 0, 0, 2]
    written = [place_of(f"{url}/{name}").read_bytes() for name in ("new/model.json", "report.html")]
    for text in (*(one.output for one in said), *(one.decode() for one in written)):
        assert "SECRET" not in text
        assert "AKIA" not in text
