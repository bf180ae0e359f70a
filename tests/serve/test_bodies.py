"""Bodies that cannot be used: each is refused with what was expected and what to do, and never with a 500."""

from __future__ import annotations

import gzip
import io
import json
import struct
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving import Made

from expose.serve import Limits

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
ROW = {"account": "x", "amount": 50.5, "hour": 12, "shop": "books", "when": "01.01.2026"}


def refused(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == status
    assert said["request"] == response.headers["x-request-id"]
    return str(said["detail"])


def stream_of(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        stream.write_table(table)
    return file.getvalue()


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


JSON_BODIES = {
    "nothing": (b"", "the body is empty"),
    "blanks": (b"  \n", "the body is no application/json"),
    "a word": (b"amount", "the body is no application/json"),
    "cut short": (json.dumps([ROW]).encode()[:-3], "the body is no application/json"),
    "an object": (json.dumps(ROW).encode(), "got an object. Put it in brackets."),
    "a number": (b"7", "got a single value"),
    "no rows": (b"[]", "hold no keys"),
    "rows in a row": (b"[[1, 2]]", 'each row is a JSON object of names and values; one is ["1", "2"]'),
    "texts": (b'["a"]', "each row is a JSON object"),
    "a null among rows": (json.dumps([ROW, None]).encode(), "each row is a JSON object of names and values; one is"),
    "a key twice": (b'[{"amount": 1, "amount": 2}]', "two values for 'amount'"),
    "half a character": (b'[{"amount": "\\ud800"}]', "half of a character"),
    "latin-1": ('[{"shop": "café"}]'.encode("latin-1"), "the body is no application/json"),
    "deep": (b"[" * 100_000, "the body is no application/json"),
    "deep in a row": (b'[{"amount": ' + b"[" * 900 + b"]" * 900 + b"}]", "nested too deeply"),
    "no column": (b'[{"shop": "books"}]', "3 column(s) of training are missing: 'amount', 'hour', 'when'"),
    "only an id": (b'[{"account": "a"}]', "4 column(s) of training are missing: 'amount', 'hour', 'shop', 'when'"),
    "infinite": (json.dumps([ROW | {"amount": float("inf")}]).encode(), "infinit"),
    "huge": (json.dumps([ROW]).replace("50.5", "9" * 5_000).encode(), "amount"),
}


@pytest.mark.parametrize("what", JSON_BODIES)
def test_json_that_cannot_be_used(table: Made, client: Any, what: str) -> None:
    body, message = JSON_BODIES[what]
    response = client(table[0]).post("/score", content=body, headers={"Content-Type": "application/json"})
    assert message in refused(response, 422)


def test_lines_of_json_end_where_lines_end(table: Made, client: Any) -> None:
    """As expose score has it: other programs leave U+2028 and U+0085 in texts as they are."""
    names = ["a\u2028b", "c\x85d", "e\rf"]
    lines = "\r\n".join(json.dumps(ROW | {"account": name}, ensure_ascii=False) for name in names)
    response = client(table[0]).post("/score", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert [row["account"] for row in response.json()["rows"]] == names, response.text


def test_a_value_that_is_none_is_said(table: Made, client: Any) -> None:
    own = client(table[0])
    said = own.post("/score", json=[ROW | {"hour": "noon", "more": 1}, ROW | {"amount": None}]).json()
    assert [row["account"] for row in said["rows"]] == ["x", "x"]
    text = " ".join(said["notes"])
    assert "column 'hour' held numbers in training; 1 value(s) are none and count as missing" in text
    assert "ignored 1 column(s) that were not there in training: 'more'" in text
    answer = own.post("/score", json=[ROW | {"hour": "noon"}], headers={"Accept": "text/csv"})
    assert "held numbers in training" in json.loads(answer.headers["x-notes"])[0]
    clean = own.post("/score", json=[ROW])
    assert clean.json()["notes"] == []
    assert "x-notes" not in clean.headers


BODIES = {
    ("text/csv", b"PK\x03\x04zip"): (415, "packed or binary"),
    ("text/csv", gzip.compress(b"amount\n1")): (415, "packed or binary"),
    ("text/csv", parquet_of(pa.table({"amount": [1.0]}))): (415, "packed or binary"),
    ("text/csv", b"a" * 200_000): (422, "no row below them"),
    ("text/csv", b"<html>"): (422, "rows.csv: expected a table, but this looks like HTML"),
    ("text/csv", b"amount,hour,shop,when\n"): (422, "no row below them"),
    ("text/csv", b"amount,hour,shop,when\n1,2,books\n"): (422, "rows.csv"),
    ("text/csv", b"amount,hour,shop,when\n1,2,books,\xff\xfe\x00\n"): (422, ""),
    ("text/csv; charset=zip", b"amount\n1"): (415, "there is no encoding 'zip'"),
    ("text/csv; charset=base64", b"amount\n1"): (415, "there is no encoding 'base64'"),
    ("text/csv; charset=punycode", b"amount\n1"): (415, "there is no encoding 'punycode'"),  # takes hours for a body
    ("text/csv; charset=unicode-escape", b"amount\n1"): (415, "there is no encoding 'unicode-escape'"),
    ("text/csv; charset=IDNA", b"amount\n1"): (415, "there is no encoding 'IDNA'"),
    ("application/json; charset=latin-1", b'[{"amount": 1}]'): (415, "application/json is read as utf-8"),
    ("application/x-ndjson", json.dumps(ROW).encode() + b"\n\nx\n"): (422, "line 3: Expecting value"),
    ("text/plain", b"a"): (415, "this model scores tables, which come as application/json or text/csv"),
    ("", b"a"): (415, "there is no Content-Type"),
    ("application/x-www-form-urlencoded", b"amount=1"): (415, "got 'application/x-www-form-urlencoded'"),
    (PARQUET, b"PAR1"): (422, "no Parquet file"),
    (PARQUET, b"amount\n1"): (422, "no Parquet file"),
    (PARQUET, parquet_of(pa.table({"amount": [1.0]}))[:-9]): (422, "no Parquet file"),
    (PARQUET, parquet_of(pa.table({"amount": pa.array([[1.0]], pa.list_(pa.float64()))}))): (
        422,
        "no meaning as a feature",
    ),
    (ARROW, b"\xff\xff\xff\xff"): (422, "no Arrow stream"),
    (ARROW, stream_of(pa.table({"amount": [1.0]}))[:-40]): (422, ""),
    (ARROW, stream_of(pa.table({"amount": [1.0]}), compression="zstd")): (415, "are compressed"),
    (ARROW, b"junk" * 100): (422, "no Arrow stream"),
}


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_bodies_that_cannot_be_used(table: Made, client: Any, number: int) -> None:
    (media, body), (status, message) = list(BODIES.items())[number]
    response = client(table[0]).post("/score", content=body, headers={"Content-Type": media} if media else {})
    detail = refused(response, status)
    assert message in detail
    assert "/tmp" not in detail
    assert "expose-serve" not in detail


def test_every_damaged_byte_of_a_binary_body_is_an_answer(table: Made, client: Any) -> None:
    own = client(table[0])
    rows = pa.table(
        {
            name: pa.array([value] * 3).dictionary_encode() if isinstance(value, str) else [value] * 3
            for name, value in ROW.items()
        }
    )
    for media, whole in ((ARROW, stream_of(rows)), (PARQUET, parquet_of(rows))):
        assert own.post("/score", content=whole, headers={"Content-Type": media}).status_code == 200
        for place in range(0, len(whole), 37):
            body = whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :]
            response = own.post("/score", content=body, headers={"Content-Type": media})
            assert response.status_code in (200, 413, 415, 422), (media, place, response.text)


def test_texts_of_a_binary_body_that_are_none(table: Made, client: Any) -> None:
    own = client(table[0])
    rows = pa.Table.from_pylist([ROW])
    for media, whole in ((ARROW, stream_of(rows)), (PARQUET, parquet_of(rows, compression="none"))):
        for old, new in ((b"books", b"b\xffoks"), (b"account", b"acc\xffunt")):
            assert old in whole
            response = own.post("/score", content=whole.replace(old, new), headers={"Content-Type": media})
            assert "that can be read" in refused(response, 422)


def test_encodings_and_packing(table: Made, client: Any) -> None:
    own = client(table[0])
    rows = pd.DataFrame([ROW | {"account": "café"}]).to_csv(index=False)
    latin = own.post("/score", content=rows.encode("latin-1"), headers={"Content-Type": "text/csv; charset=latin-1"})
    assert latin.json()["rows"][0]["account"] == "café"
    packed = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
    assert (
        own.post("/score", content=gzip.compress(rows.encode()), headers=packed).json()["rows"] == latin.json()["rows"]
    )
    two = gzip.compress(rows.encode()[:20]) + gzip.compress(rows.encode()[20:])
    assert own.post("/score", content=two, headers=packed).json()["rows"] == latin.json()["rows"]
    for body in (gzip.compress(rows.encode())[:-4], rows.encode(), b"", b"\x1f\x8b"):
        refused(own.post("/score", content=body, headers=packed), 422)
    refused(own.post("/score", content=b"x", headers=packed | {"Content-Encoding": "br"}), 415)


# ------------------------------------------------------------------------------------------------------- limits


def test_what_unpacks_to_more_than_is_allowed(table: Made, client: Any) -> None:
    own = client(table[0], limits=Limits(body=200_000, rows=1_000, cells=10_000))
    bomb = gzip.compress(b"amount,hour,shop,when\n" + b"1,2,books,\n" * 1_000_000)
    assert len(bomb) < 200_000
    packed = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
    assert "when it is unpacked; at most 200,000" in refused(own.post("/score", content=bomb, headers=packed), 413)
    text = pa.array(["x" * 100_000]).dictionary_encode()
    many = pa.DictionaryArray.from_arrays(pa.array([0] * 900, pa.int32()), text.dictionary)
    long = pa.table({"amount": [1.0] * 900, "shop": many})
    wide = pa.table({f"c{place}": pa.nulls(900) for place in range(50)})
    deep = pa.table({"amount": pa.nulls(2_000)})
    for rows in (long, wide, deep):
        for media, body in ((ARROW, stream_of(rows)), (PARQUET, parquet_of(rows))):
            assert len(body) < 200_000
            refused(own.post("/score", content=body, headers={"Content-Type": media}), 413)


def test_rows_that_need_no_bytes_are_counted_before_they_are_made(table: Made, client: Any) -> None:
    whole = bytearray(stream_of(pa.table({"amount": pa.nulls(77_777)})))
    place = whole.index(struct.pack("<q", 77_777))
    whole[place : place + 8] = struct.pack("<q", 2**40)
    response = client(table[0]).post("/score", content=bytes(whole), headers={"Content-Type": ARROW})
    assert response.status_code in (413, 422), response.text


def test_json_of_ever_new_names(table: Made, client: Any) -> None:
    rows = [{f"k{place}": 1} for place in range(5_000)]
    assert "5,000 rows of 5,000 columns, 25,000,000 cells; at most 10,000,000" in refused(
        client(table[0]).post("/score", json=rows), 413
    )


def test_columns_that_nobody_looks_at_are_too_many(table: Made, client: Any) -> None:
    own = client(table[0], limits=Limits(columns=50))
    wide = ROW | {f"c{place}": 1 for place in range(50)}
    frame = pa.Table.from_pylist([wide])
    bodies = {
        "application/json": json.dumps([wide]).encode(),
        "text/csv": pd.DataFrame([wide]).to_csv(index=False).encode(),
        ARROW: stream_of(frame),
        PARQUET: parquet_of(frame),
    }
    for media, body in bodies.items():
        detail = refused(own.post("/score", content=body, headers={"Content-Type": media}), 413)
        assert "columns; at most 50 are taken at once. Leave out what the model does not look at." in detail


def test_nothing_is_scored_of_a_body_with_too_many_rows(
    table: Made, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else others wait for scores that nobody gets."""
    monkeypatch.setattr("expose.kinds.table.AT_ONCE", 6)
    service = client(table[0], limits=Limits(rows=10))
    scorer = service.app.state.service.models.current.scorer
    scored: list[Any] = []
    monkeypatch.setattr(type(scorer), "columns", lambda self, given: scored.append(given))
    text = "account;amount;hour;shop;when\n" + 11 * "x;50,5;12;books;01.01.2026\n"
    response = service.post("/score", content=text, headers={"Content-Type": "text/csv"})
    assert "there are 11 samples or more; at most 10" in refused(response, 413)
    assert not scored


def test_limits_of_rows_and_bodies(table: Made, client: Any) -> None:
    own = client(table[0], limits=Limits(body=2_000, rows=3))
    assert own.post("/score", json=[ROW] * 3).status_code == 200
    assert "there are 4 rows; at most 3" in refused(own.post("/score", json=[ROW] * 4), 413)
    csv = "amount,hour,shop,when\n" + "1,2,books,\n" * 4
    text = {"Content-Type": "text/csv"}
    assert "at most 3 are taken at once. Send them in parts." in refused(
        own.post("/score", content=csv, headers=text), 413
    )
    assert "at most 2,000" in refused(own.post("/score", content=b"x" * 2_001, headers=text), 413)

    def pieces() -> Any:
        yield from [b"x" * 500] * 5

    assert "at most 2,000" in refused(own.post("/score", content=pieces(), headers=text), 413)


# -------------------------------------------------------------------------------------------------------- files


def sent(name: str, content: bytes = b"x") -> tuple[str, tuple[str, bytes]]:
    return ("file", (name, content))


NAMES = [
    "../1.png",
    "/etc/passwd",
    "a/../../1.png",
    "a\\1.png",
    ".hidden.png",
    "a//1.png",
    "~/1.png",
    "x" * 300 + ".png",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere(photos: Made, client: Any, name: str) -> None:
    assert "a file is called" in refused(client(photos[0]).post("/score", files=[sent(name)]), 422)


def test_files_that_cannot_be_used(photos: Made, client: Any, tmp_path: Path) -> None:
    own = client(photos[0], limits=Limits(files=3))
    good = next(photos[1].rglob("*.png")).read_bytes()
    assert own.post("/score", files=[sent("1.png", good)]).json()["rows"][0]["file"] == "1.png"
    assert "two files are called '1.png'" in refused(own.post("/score", files=[sent("1.png", good)] * 2), 422)
    assert "1.png" in refused(own.post("/score", files=[sent("1.png", b"no image")]), 422)
    assert "1.png" in refused(own.post("/score", files=[sent("1.png", good[:60]), sent("2.png", good)]), 422)
    assert "packed" in refused(own.post("/score", files=[sent("1.png", gzip.compress(good))]), 415)
    assert "at most 3" in refused(own.post("/score", files=[sent(f"{n}.png", good) for n in range(4)]), 422)
    refused(own.post("/score", data={"file": "x"}, files=[sent("1.png", good)]), 422)
    for body in (b"", b"--x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n1\r\n--x--'):
        refused(own.post("/score", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}), 422)
    refused(own.post("/score", content=b"x", headers={"Content-Type": "multipart/form-data"}), 422)
    assert "images, which come as multipart/form-data" in refused(own.post("/score", json=["/etc/passwd"]), 415)
    left = own.post("/score", files=[sent("1.png", good), sent("notes.txt", b"hello")])
    assert "left out 1 file(s) that are no images: 'notes.txt'" in left.json()["notes"][0]
    assert "/tmp" not in left.json()["notes"][0]


def test_photos_that_unpack_to_more_than_is_allowed(photos: Made, client: Any) -> None:
    """Hundreds of empty photos of a hundred megapixels fit into a body, and take minutes to be read."""
    pillow = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pillow.new("L", (400, 300)).save(file, "png")
    own = client(photos[0], limits=Limits(pixels=250_000))
    assert own.post("/score", files=[sent(f"{n}.png", file.getvalue()) for n in range(2)]).status_code == 200
    detail = refused(own.post("/score", files=[sent(f"{n}.png", file.getvalue()) for n in range(3)]), 413)
    assert "the photos have 360,000 pixels or more; at most 250,000" in detail
