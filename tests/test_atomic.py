"""Files come whole or not at all, from one process at a time, and nothing stays behind."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from expose.atomic import all_or_nothing, publish, remove, whole_file


def listed(folder):
    return sorted(os.listdir(folder))


def write(path, content):
    with whole_file(path) as file:
        file.write(content)


def test_a_file_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "deep" / "er" / "file"
    with whole_file(target) as file:
        file.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert listed(target.parent) == ["file"]


def test_a_file_that_the_caller_closes_is_whole_too(tmp_path):
    with whole_file(tmp_path / "file") as file:
        file.write(b"new")
        file.close()
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_an_error_leaves_the_old_file_and_no_new_folder(tmp_path, error):
    write(tmp_path / "file", b"old")
    for target in (tmp_path / "file", tmp_path / "deep" / "er" / "file"):
        with pytest.raises(type(error)), whole_file(target) as file:  # noqa: PT012
            file.write(b"half")
            raise error
    assert listed(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_draft_that_nobody_publishes_is_removed(tmp_path):
    with all_or_nothing(tmp_path / "file") as draft:
        draft.mkdir()
        (draft / "inner").touch()
    assert listed(tmp_path) == []


def test_a_draft_may_be_looked_at_before_it_is_published(tmp_path):
    with all_or_nothing(tmp_path / "file") as draft:
        with draft.open("xb") as file:
            file.write(b"new")
        assert draft.read_bytes() == b"new"
        publish(draft, tmp_path / "file")
    assert listed(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, OSError, "Free some space"),
        (errno.EACCES, PermissionError, "Choose another place"),
        (errno.EIO, OSError, "Choose another place"),
    ],
)
def test_the_advice_fits_the_reason(tmp_path, number, kind, advice):
    with (
        pytest.raises(kind, match=rf"Cannot write .*file: the reason\. {advice}") as caught,
        whole_file(tmp_path / "file"),
    ):
        raise OSError(number, "the reason")
    assert caught.value.errno == number


def test_an_error_of_reading_something_else_is_not_taken_for_one_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, whole_file(tmp_path / "out.csv"):
        (tmp_path / "in.csv").open()
    assert caught.value.filename == str(tmp_path / "in.csv")
    assert listed(tmp_path) == []


WRITER = textwrap.dedent(
    """
    import pathlib, sys, time
    from expose.atomic import whole_file
    with whole_file(pathlib.Path(sys.argv[1])) as file:
        file.write(b"theirs")
        file.flush()
        print("begun", flush=True)
        sys.stdin.readline()
    """
)


def writing(target):
    """A process in the middle of writing; it ends when told a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    return process


def test_the_draft_of_a_killed_writer_is_removed_by_the_next_one(tmp_path):
    process = writing(tmp_path / "file")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert len(listed(tmp_path)) == 2  # there is something to remove
    write(tmp_path / "file", b"mine")
    assert listed(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_the_draft_of_a_living_writer_is_left_to_it(tmp_path, monkeypatch):
    process = writing(tmp_path / "file")
    monkeypatch.setattr("expose.atomic.PATIENCE", 0.2)
    with pytest.raises(
        OSError, match=r"Cannot write .*file: another process has been writing it .* Wait for it"
    ) as caught:
        write(tmp_path / "file", b"mine")
    assert caught.value.errno == errno.EBUSY
    write(tmp_path / "another", b"mine")  # in the same folder
    process.communicate("end\n", timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert listed(tmp_path) == ["another", "file"]


def test_a_writer_waits_for_the_one_before_and_the_last_one_stays(tmp_path):
    process = writing(tmp_path / "file")
    mine = threading.Thread(target=write, args=(tmp_path / "file", b"mine"))
    mine.start()
    time.sleep(0.2)
    assert mine.is_alive()
    process.communicate("end\n", timeout=60)
    mine.join(60)
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert listed(tmp_path) == ["file"]


def test_of_many_writers_one_writes_at_a_time(tmp_path):
    """Threads contend for the lock file, which each removes as it leaves: the moment that is hard to get right."""
    inside, most, errors = [0], [0], []

    def work():
        try:
            for _ in range(40):
                with all_or_nothing(tmp_path / "file"):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.0005)
                    inside[0] -= 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert most == [1]
    assert listed(tmp_path) == []


def test_where_the_system_knows_no_locks_a_writer_is_not_stopped(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def unknown(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unknown)
    write(tmp_path / "file", b"mine")
    assert listed(tmp_path) == ["file"]


def test_remove_follows_no_link(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis").touch()
    (tmp_path / "link").symlink_to(tmp_path / "precious", target_is_directory=True)
    remove(tmp_path / "link")
    remove(tmp_path / "nothing")
    assert listed(tmp_path) == ["precious"]
    assert listed(tmp_path / "precious") == ["thesis"]


def test_an_error_of_the_caller_that_the_system_did_not_raise_passes_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^there is no file 'new.csv'$"), whole_file(tmp_path / "scores.csv"):
        raise FileNotFoundError("there is no file 'new.csv'")
