"""Files in and out: every format says the same, damage is named, nothing half-written stays."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import resource
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expose.errors import DataWarning, InputError
from expose.files import Dialect, delimited, read, scan, split, writer

SMALL = b"a,b\n1,x\n2.5,y\n"


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------------------------------------------- reading


def test_a_process_that_ends_right_after_reading_ends_in_order(tmp_path):
    file = written(tmp_path / "d.csv", "a,b\n" + "1,x\n" * 5_000)
    code = f"import torch; from expose.files import read; read({str(file)!r}); raise SystemExit(2)"
    ends = [subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode for _ in range(2)]
    assert ends == [2, 2]  # arrow's threads used to abort most of such processes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", SMALL),
        ("d.txt", SMALL.replace(b",", b";")),
        ("d.CSV", SMALL.replace(b",", b"|")),
        ("d.tsv", SMALL.replace(b",", b"\t")),
        ("d.csv.gz", gzip.compress(SMALL, mtime=0)),
        ("d.csv.bz2", bz2.compress(SMALL)),
        ("d.csv.xz", lzma.compress(SMALL)),
        ("d.tsv.zst", pa.compress(SMALL.replace(b",", b"\t"), codec="zstd", asbytes=True)),
        ("bom.csv", b"\xef\xbb\xbf" + SMALL),
        ("dos.csv", SMALL.replace(b"\n", b"\r\n")),
        ("no_last_line_end.csv", SMALL[:-1]),
        ("empty_lines.csv", b"\n" + SMALL.replace(b"\n", b"\n\n")),
        ("quoted.csv", b'"a","b"\n"1","x"\n"2.5","y"\n'),
    ],
)
def test_every_kind_of_csv_reads_the_same(tmp_path, name, content):
    assert read(written(tmp_path / name, content)).to_pydict() == {"a": ["1", "2.5"], "b": ["x", "y"]}


def test_cells_are_text_as_they_stand_and_empty_ones_are_null(tmp_path):
    cells = ["000123", "1.50", " x ", "NA", "true", "12e5", "2024-01-31"]
    lines = [",".join(f"c{place}" for place in range(8)), ",".join([*cells, ""])]
    table = read(written(tmp_path / "t.csv", "\n".join(lines)))
    assert {str(kind) for kind in table.schema.types} == {"string"}
    assert list(table.to_pylist()[0].values()) == [*cells, None]


def test_names_and_values_may_hold_line_ends_quotes_and_delimiters(tmp_path):
    path = written(tmp_path / "q.csv", '"a\nx","b,c"\n"1","x\ny"\n"2","z""q"\n')
    assert read(path).to_pydict() == {"a\nx": ["1", "2"], "b,c": ["x\ny", 'z"q']}


def test_an_empty_line_in_a_single_column_is_a_missing_value(tmp_path):
    assert read(written(tmp_path / "one.csv", "a\n1\n\n3\n")).to_pydict() == {"a": ["1", None, "3"]}


def test_columns_are_chosen(tmp_path):
    path = written(tmp_path / "zip.csv", "zip,n\n01234,1\n,2\n")
    assert read(path, columns=["n"]).to_pydict() == {"n": ["1", "2"]}
    with pytest.raises(InputError, match=r"no column 'zipp'.*mean 'zip'"):
        read(path, columns=["zipp"])


@pytest.mark.parametrize("part", [1, 64, 2**20])
def test_parts_lose_and_change_nothing(tmp_path, monkeypatch, part):
    monkeypatch.setattr(delimited, "PART", part)
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=300), "b": ['x"\n,', "z", "y"] * 100})
    frame.to_csv(tmp_path / "d.csv", index=False)
    table = read(tmp_path / "d.csv")
    np.testing.assert_array_equal(table["a"].to_numpy().astype(float), frame["a"])
    assert table["b"].to_pylist() == frame["b"].tolist()
    assert [batch.num_rows for batch in scan(tmp_path / "d.csv", batch_rows=100)] == [100, 100, 100]


def test_globs_folders_and_lists(tmp_path):
    for name, content in (
        ("1.csv", "a,b\n1,2\n"),
        ("2.csv", "b,a\n4,3.5\n"),
        ("_log.csv", "x\n"),
        ("notes.md", "x"),
    ):
        written(tmp_path / name, content)
    (tmp_path / "sub").mkdir()
    pq.write_table(pa.table({"a": [5], "b": [6]}), tmp_path / "sub" / "3.parquet")
    expected = {"a": ["1", "3.5"], "b": ["2", "4"]}
    assert read(str(tmp_path / "?.csv")).to_pydict() == expected
    assert read([tmp_path / "1.csv", tmp_path / "2.csv"]).to_pydict() == expected
    assert read(tmp_path).to_pydict() == {"a": ["1", "3.5", "5"], "b": ["2", "4", "6"]}


def test_partition_folders_are_read_with_a_warning(tmp_path):
    (tmp_path / "year=2024").mkdir()
    written(tmp_path / "year=2024" / "1.csv", SMALL)
    with pytest.warns(DataWarning, match="'year=2024' are not read as columns"):
        assert read(tmp_path).column_names == ["a", "b"]


def test_files_that_do_not_fit_together_are_refused(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "2.parquet")
    pq.write_table(pa.table({"a": [1.5]}), tmp_path / "3.parquet")
    with pytest.raises(InputError, match=r"2.parquet: column 'a' is string, .* int64"):
        read(tmp_path / "?.parquet")
    assert read([tmp_path / "1.parquet", tmp_path / "3.parquet"])["a"].to_pylist() == [1.0, 1.5]
    written(tmp_path / "4.csv", "a,b\n1,2\n")
    with pytest.raises(InputError, match=r"4.csv has 'b' besides"):
        read([tmp_path / "1.parquet", tmp_path / "4.csv"])
    with pytest.raises(InputError, match=r"1.parquet lacks 'b'"):
        read([tmp_path / "4.csv", tmp_path / "1.parquet"])


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SMALL)))
    assert read("-").to_pydict() == {"a": ["1", "2.5"], "b": ["x", "y"]}


def test_pandas_unnamed_index_is_no_column(tmp_path):
    pd.DataFrame({"a": [1, 2]}, index=[5, 9]).to_parquet(tmp_path / "i.parquet")
    assert read(tmp_path / "i.parquet").column_names == ["a"]


# -------------------------------------------------------------------------------------------------- bad files


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.csv", b"", "file is empty"),
        ("e.csv", b"\n\n\r\n", "file is empty"),
        ("e.csv.gz", gzip.compress(b"", mtime=0), "file is empty"),
        ("e.parquet", b"", "file is empty"),
        ("h.csv", b"a,b\n", "column names, but no row"),
        ("h.csv", b"a,b", "column names, but no row"),
        ("dup.csv", b"a,b,a\n1,2,3\n", "header repeats 'a'"),
        ("r.csv", b"a,b\n1,2\n\n1,2,3\n", r"r.csv, line 4: expected 2 values .* got 3: '1,2,3'"),
        ("r.csv", b"a,b\r\n1,2\r\n1\r\n", r"r.csv, line 3: expected 2 values .* got 1: '1'"),
        ("l.csv", "a,n\n1,x\n1,José\n".encode("latin-1"), r"line 3: byte 0xe9 is not .*encoding='cp1252'"),
        ("u.csv", "a,n\n1,x\n".encode("utf-16-le"), "zero bytes"),
        ("cut.csv.gz", gzip.compress(os.urandom(500).hex().encode())[:-20], "damaged or cut short"),
        ("cut.csv.zst", pa.compress(SMALL * 99, codec="zstd", asbytes=True)[:-9], "damaged"),
        ("text.parquet", SMALL, "not a complete Parquet file"),
        ("d.json", b"{}", r"objects hold no keys"),
        ("d.parquet.gz", b"", "file is empty"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_the_reason(tmp_path, name, content, message):
    path = written(tmp_path / name, content)
    with pytest.raises(InputError, match=message):
        read(path)
    with pytest.raises(InputError, match=message):
        list(scan(path))


def test_truncated_and_damaged_parquet(tmp_path):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"a": np.random.default_rng(0).random(1_000)}), path)
    whole = path.read_bytes()
    for broken in (whole[:-5], whole[: len(whole) // 2], whole[:4] + b"\xff" * 40 + whole[44:]):
        with pytest.raises(InputError, match=r"p.parquet: not a complete Parquet file"):
            read(written(path, broken))
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), path)
    with pytest.raises(InputError, match="more than once: 'a'"):
        read(path)


def test_the_right_encoding_helps(tmp_path):
    for encoding in ("latin-1", "cp1252", "utf-16"):
        path = written(tmp_path / "l.csv", "a,n\n1,José\n".encode(encoding))
        assert read(path, dialect=Dialect(encoding=encoding))["n"].to_pylist() == ["José"]
    with pytest.raises(InputError, match="unknown encoding 'klingon'"):
        Dialect(encoding="klingon")
    with pytest.raises(InputError, match=r"line 2: byte 0xe9 is not valid text in ascii"):
        read(written(path, "a,n\n1,José\n".encode("latin-1")), dialect=Dialect(encoding="ascii"))
    with pytest.raises(InputError, match="is not valid text in utf-16"):
        read(written(path, b"a,n\n1,x\n\n"[:7]), dialect=Dialect(encoding="utf-16"))


@pytest.mark.parametrize("source", ["absent.csv", "absent*.parquet", []])
def test_nothing_there(source):
    with pytest.raises(FileNotFoundError, match="give the path of a CSV or Parquet file"):
        read(source)


def test_an_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no CSV or Parquet file in the folder"):
        read(tmp_path)


# ---------------------------------------------------------------------------------------------------- writing

ROWS = pa.table({"a": [1, None], "s": ['x,\t"y', "z"], "f": [0.1, 1e300]})


@pytest.mark.parametrize("name", ["o.parquet", "o.csv", "o.csv.gz", "o.tsv", "o.tsv.gz"])
def test_what_is_written_reads_back(tmp_path, name):
    with writer(tmp_path / name) as sink:
        for batch in (ROWS, ROWS.to_batches()[0], ROWS):
            sink.write(batch)
        assert not (tmp_path / name).exists()
    assert sink.n_rows == 6
    back = read(tmp_path / name)
    numbers = pa.table({"a": back["a"].cast(pa.int64()), "s": back["s"], "f": back["f"].cast(pa.float64())})
    assert numbers.to_pydict() == pa.concat_tables([ROWS] * 3).to_pydict()
    assert os.listdir(tmp_path) == [name]


def test_dictionaries_and_narrow_types_fit(tmp_path):
    with writer(tmp_path / "o.csv") as sink:
        sink.write(pa.table({"a": pa.array(["u", "v"]).dictionary_encode(), "n": [1.5, 2.5]}))
        sink.write(pa.table({"a": ["w"], "n": [3]}))
    assert read(tmp_path / "o.csv").to_pydict() == {"a": ["u", "v", "w"], "n": ["1.5", "2.5", "3"]}


def test_standard_output_is_csv(capfdbinary):
    with writer("-") as sink:
        sink.write(pa.table({"a": [1, 2]}))
    assert capfdbinary.readouterr().out == b'"a"\n1\n2\n'


@pytest.mark.parametrize("name", ["o.parquet", "o.csv"])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, name):
    with writer(tmp_path / name) as sink:
        sink.write(ROWS)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(RuntimeError), writer(tmp_path / name) as sink:  # noqa: PT012
        sink.write(ROWS)
        raise RuntimeError
    with pytest.raises(InputError, match="must have the columns"), writer(tmp_path / name) as sink:  # noqa: PT012
        sink.write(ROWS)
        sink.write(pa.table({"b": [1]}))
    with pytest.raises(InputError, match="does not fit the types"), writer(tmp_path / name) as sink:  # noqa: PT012
        sink.write(ROWS.select(["a"]))
        sink.write(pa.table({"a": ["word"]}))
    with pytest.raises(InputError, match="nothing to write"), writer(tmp_path / name):
        pass
    assert (tmp_path / name).read_bytes() == before
    assert os.listdir(tmp_path) == [name]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match=r"expected one of .parquet, .csv"), writer(tmp_path / "o.docx"):
        pass
    with pytest.raises(IsADirectoryError, match="Name a file in it"), writer(tmp_path):
        pass
    written(tmp_path / "file", "")
    with pytest.raises(OSError, match="Cannot write"), writer(tmp_path / "file" / "o.csv") as sink:
        sink.write(ROWS)


@pytest.fixture
def full_device(tmp_path):
    """A device without space: one of our own where allowed, so that no bug can replace the system's."""
    own = tmp_path / "full"
    try:
        os.mknod(own, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        own.open("wb").close()
    except OSError:
        own = Path("/dev/full")
    if not own.is_char_device() or (own == Path("/dev/full") and os.geteuid() == 0):
        pytest.skip("no full device that is safe to try")
    return own


@pytest.mark.parametrize("rows", [1, 500_000])
def test_a_full_device_is_an_error_and_stays_a_device(rows, full_device):
    with pytest.raises(OSError, match=r"Cannot write .*full: No space left"), writer(full_device) as sink:
        sink.write(pa.table({"a": np.arange(rows)}))
    assert full_device.is_char_device()


@pytest.mark.parametrize("name", ["o.parquet", "o.csv", "o.csv.gz"])
def test_a_full_disk_leaves_nothing_behind(tmp_path, name):
    noise = pa.table({"a": np.random.default_rng(0).random(100_000)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # a disk with 100 kB left
    try:
        with (
            pytest.raises(OSError, match=rf"Cannot write .*{name}: File too large"),
            writer(tmp_path / name) as sink,
        ):
            sink.write(noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    with writer(tmp_path / "link.csv") as sink:
        sink.write(ROWS)
    assert (tmp_path / "link.csv").is_symlink()
    assert read(tmp_path / "real.csv").num_rows == 2


def test_scan_and_writer_hold_a_bounded_number_of_rows(tmp_path):
    def copied(n_batches: int) -> int:
        with writer(tmp_path / "in.parquet") as sink:
            for seed in range(n_batches):
                sink.write(pa.table({"a": np.random.default_rng(seed).random(50_000)}))
        before, peak = pa.total_allocated_bytes(), 0
        tracemalloc.start()
        with writer(tmp_path / "out.csv") as sink:
            for batch in scan(tmp_path / "in.parquet", batch_rows=10_000):
                sink.write(batch)
                peak = max(peak, pa.total_allocated_bytes() - before)
        python = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak + python

    assert copied(16) < 2 * copied(4) + 2**20


# ------------------------------------------------------------------------------------------------------ roles


def test_split_by_role():
    table = pa.table({"id": [1, 2], "skip": [0, 0], "y": [1, None], "x": [0.5, 1.5]})
    roles = split(table, id=["id"], ignore=["skip"], label="y")
    assert roles.features.column_names == ["x"]
    assert roles.ids.column_names == ["id"]
    assert roles.labels.tolist() == [1, -1]
    plain = split(table)
    assert plain.features.column_names == table.column_names
    assert plain.ids is plain.labels is None


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, -1, None], [1.0, 0.0, -1.0, float("nan")], [True, False, None, None], ["1", "0", "-1", ""],
        ["anomaly", "Normal ", "unlabelled", None], ["1.0", "0.0", "-1.0", " "], [" 1", "0 ", "-1", "NA"],
        ["True", "False", "nan", "?"], ["+1", "0e0", "-1.", "null"],
        pa.array(["true", "false", None, None]).dictionary_encode(),
    ],
)  # fmt: skip
def test_labels_in_every_spelling(values):
    roles = split(pa.table({"y": values, "x": [0, 0, 0, 0]}), label="y")
    assert roles.labels.tolist() == [1, 0, -1, -1]
    assert roles.labels.dtype == np.int64


def test_names_may_be_given_without_the_blanks_around_them():
    table = pa.table({" key": ["a"], "x ": [1.0], " odd": [1], "y": [2], " y": [3]})
    roles = split(table, id=["key"], ignore=["y"], label="odd")
    assert (roles.ids.column_names, roles.features.column_names) == ([" key"], ["x ", " y"])
    assert roles.labels.tolist() == [1]
    with pytest.raises(InputError, match="there is no column 'y '"):
        split(table, ignore=["y "])  # which of two is not known


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"label": "y"}, r"label column 'y', row 2 .* holds 2. Expected 1"),
        ({"id": ["xx"]}, r"id: there is no column 'xx'.*'y', 'x'.*mean 'x'"),
        ({"ignore": "z"}, "ignore: there is no column 'z'"),
        ({"id": ["x"], "ignore": ["x"]}, "only one role.*'x'"),
        ({"id": ["x", "y"]}, "no column is left"),
    ],
)
def test_roles_that_cannot_be(roles, message):
    with pytest.raises(InputError, match=message):
        split(pa.table({"y": [1, 0, 2], "x": [0, 0, 0]}), **roles)
