import copy
import pickle
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expose.errors import DataWarning, InputError
from expose.kinds import Table
from expose.outliers import OutlierStream

WORDS = [f"text {number}" for number in range(57)]


def texts():
    yield from WORDS


def batches_of_texts():
    for start in range(0, 57, 10):
        yield WORDS[start : start + 10]


def vectors():
    return (np.array([number, -number], dtype=np.float32) for number in range(57))


def numbers_in(rows):
    return [int(value) for value in np.asarray(rows).reshape(len(rows), -1)[:, 0]]


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    buffer=st.integers(1, 60),
    takes=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    batch=st.integers(1, 17),
)
def test_every_row_comes_once_per_pass_however_taken(n, buffer, takes, batch):
    source = np.arange(n)[:, None]

    def batches():
        return (source[start : start + batch] for start in range(0, n, batch))

    stream = OutlierStream(batches, items="batches", buffer=buffer, random_state=0)
    got = [number for size in takes for number in numbers_in(stream.take(size))]
    assert len(got) == sum(takes) == stream.taken
    for start in range(0, len(got) - n + 1, n):
        assert sorted(got[start : start + n]) == list(range(n))
    whole = OutlierStream(batches, items="batches", buffer=buffer, random_state=0)
    assert numbers_in(whole.take(sum(takes))) == got


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("taken", [0, 1, 56, 57, 58, 200])
@pytest.mark.parametrize("source", [WORDS, texts], ids=["list", "function"])
def test_seeking_finds_the_same_rows_again(source, taken, known):
    def make():
        return OutlierStream(source, buffer=20, random_state=3)

    whole = make().take(taken + 70)
    stream = make()
    if known:
        stream.take(60)
        assert stream.n_rows == 57
    stream.seek(taken)
    assert stream.take(70) == whole[taken:]
    assert stream.taken == taken + 70


def test_passes_and_seeds_differ():
    stream = OutlierStream(texts, buffer=20, random_state=0)
    first, second = stream.take(57), stream.take(57)
    assert first != second
    assert OutlierStream(texts, buffer=20, random_state=1).take(57) != first
    assert OutlierStream(texts).take(57) != OutlierStream(texts).take(57)


def test_a_stream_without_a_seed_keeps_the_one_it_drew():
    stream = OutlierStream(texts)
    first = stream.take(20)
    stream.seek(0)
    assert stream.take(20) == first


def test_rows_are_mixed_also_beyond_the_buffer():
    stream = OutlierStream(lambda: iter(np.arange(2000)[:, None]), buffer=100, random_state=0)
    order = np.array(numbers_in(stream.take(2000)))
    assert np.abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 1  # not sorted
    assert (np.diff(order) < 0).mean() > 0.4
    late = order.argsort() - np.arange(2000)  # place given less place in the source
    assert late.max() > 100
    assert late.min() >= -1100  # a chunk of single rows is at most 1024, and the buffer


def test_no_more_than_the_buffer_and_a_chunk_are_read_ahead():
    read = []

    def endless():
        number = 0
        while True:
            read.append(number)
            yield np.full((10, 2), number)
            number += 1

    stream = OutlierStream(endless, items="batches", buffer=100, random_state=0)
    stream.take(50)
    assert len(read) <= 11
    stream.take(500)
    assert len(read) <= 70


def test_the_kinds_of_rows_that_come_out():
    assert isinstance(OutlierStream(texts).take(3)[0], str)
    assert isinstance(OutlierStream(batches_of_texts, items="batches").take(23), list)
    rows = OutlierStream(vectors).take(100)
    assert rows.shape == (100, 2)
    assert rows.dtype == np.float32
    images = OutlierStream(lambda: (np.zeros((8, 8, 3), np.uint8) for _ in range(5))).take(12)
    assert images.shape == (12, 8, 8, 3)
    mixed = OutlierStream([np.zeros((8, 8)), np.zeros((9, 9))], random_state=0).take(4)
    assert sorted(image.shape for image in mixed) == [(8, 8), (8, 8), (9, 9), (9, 9)]
    array = np.arange(30).reshape(10, 3)
    got = OutlierStream(array, random_state=0).take(10)
    np.testing.assert_array_equal(got[got[:, 0].argsort()], array)
    plain = OutlierStream(lambda: iter([[1.0, 2.0], [3.0, 4.0]])).take(2)
    assert plain.shape == (2, 2)


def test_frames_become_tables_that_the_detector_takes():
    frame = pd.DataFrame({"x": np.arange(30.0), "kind": ["a", "b", "c"] * 10})
    for stream in (
        OutlierStream(frame, random_state=0),
        OutlierStream(lambda: (frame.iloc[i : i + 7] for i in range(0, 30, 7)), items="batches", buffer=8),
    ):
        got = stream.take(30)
        assert isinstance(got, Table)
        assert sorted(got.column("x")) == list(range(30))
        letter = dict(zip(frame["x"], frame["kind"], strict=True))
        assert [letter[x] for x in got.column("x")] == got.column("kind").tolist()


def test_folders_of_parquet_files(tmp_path):
    for part in range(3):
        frame = pd.DataFrame({"x": np.arange(20.0) + 20 * part, "kind": ["a", "b"] * 10})
        frame.to_parquet(tmp_path / f"{part}.parquet")
    stream = OutlierStream(tmp_path, buffer=15, random_state=0)
    assert sorted(stream.take(60).column("x")) == list(range(60))
    got = stream.take(90)
    stream.seek(60)
    assert stream.take(90).column("x").tolist() == got.column("x").tolist()


def test_folders_of_image_files(tmp_path):
    from PIL import Image

    (tmp_path / "more").mkdir()
    for number in range(9):
        folder = tmp_path / "more" if number % 2 else tmp_path
        Image.fromarray(np.full((6, 5, 3), number, np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "readme.txt").write_text("not an image")
    with pytest.warns(DataWarning, match="no images"):
        stream = OutlierStream(tmp_path, random_state=0)
    (tmp_path / "readme.txt").unlink()
    images = stream.take(9)
    assert images.shape == (9, 6, 5, 3)
    assert sorted(images[:, 0, 0, 0].tolist()) == list(range(9))
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "grey.png")
    shapes = Counter(image.shape for image in OutlierStream(tmp_path, random_state=0).take(10))
    assert shapes == {(6, 5, 3): 9, (4, 4, 1): 1}
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"broken.png: cannot be read"):
        OutlierStream(tmp_path, random_state=0).take(20)
    (tmp_path / "broken.png").unlink()
    for path in tmp_path.rglob("?.png"):
        path.unlink()
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(tmp_path / "deep.png")
    both = OutlierStream(tmp_path, random_state=0).take(2)  # white in 16 bit is not put among bytes
    assert {(image.dtype.name, int(image.max())) for image in both} == {("uint8", 0), ("uint16", 65535)}


def test_sources_that_can_be_walked_only_once_are_said():
    with pytest.raises(InputError, match=r"generator can be walked only once.*opens it anew"):
        OutlierStream(texts())
    gone = texts()
    with pytest.raises(InputError, match="no rows in pass 2; the function must open its source anew"):
        OutlierStream(lambda: gone).take(100)


def test_what_is_no_source_is_said(tmp_path):
    with pytest.raises(InputError, match="got int"):
        OutlierStream(5)
    with pytest.raises(InputError, match="it returned int"):
        OutlierStream(lambda: 5).take(1)
    with pytest.raises(InputError, match="no rows in pass 1"):
        OutlierStream([]).take(1)
    with pytest.raises(InputError, match="mixes texts"):
        OutlierStream(["a", np.zeros(3)]).take(2)
    with pytest.raises(InputError, match="mixes kinds"):
        OutlierStream(lambda: iter([np.zeros((2, 3)), ["a"]]), items="batches").take(3)
    with pytest.raises(InputError, match=r"got shapes \(2,\), \(3,\)"):
        OutlierStream([np.zeros(2), np.zeros(3)]).take(2)
    with pytest.raises(InputError, match="Set items='rows'"):
        OutlierStream(texts, items="batches").take(2)
    with pytest.raises(InputError, match="'rows' or 'batches'; got 'files'"):
        OutlierStream(texts, items="files")
    with pytest.raises(InputError, match="buffer must be at least 1"):
        OutlierStream(texts, buffer=0)
    with pytest.raises(InputError, match="must be at least 1; got 0"):
        OutlierStream(texts).take(0)
    with pytest.raises(InputError, match="must be at least 0; got -1"):
        OutlierStream(texts).seek(-1)
    with pytest.raises(FileNotFoundError, match="no CSV or Parquet"):
        OutlierStream(tmp_path).take(1)


@pytest.mark.parametrize("copied", [lambda s: pickle.loads(pickle.dumps(s)), copy.deepcopy], ids=["pickle", "copy"])
def test_a_copy_goes_on_where_the_stream_is(copied):
    stream = OutlierStream(WORDS, random_state=0)
    stream.take(70)
    other = copied(stream)
    assert other.take(50) == stream.take(50)
    assert repr(other) == "OutlierStream(list, taken=120)"
    assert repr(OutlierStream(texts)) == "OutlierStream(texts, taken=0)"


def test_the_room_is_light_to_import():
    code = "import sys, expose.outliers; dir(expose.outliers)\n"
    code += "print(sorted({'torch', 'sklearn', 'scipy', 'pyarrow', 'PIL', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    import expose.outliers as room

    for name in room.__all__:
        assert getattr(room, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        room.nothing  # noqa: B018
