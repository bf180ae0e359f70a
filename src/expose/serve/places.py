"""A private folder for what requests bring, and the removal of those that killed services left behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import IO, Any

PREFIX, LOCK = "expose-serve-", "lock"


class Folders:
    """Folders that are lent to one request after another, empty each time: to make and remove one takes long.

    Parameters
    ----------
    within : Path

    Examples
    --------
    >>> folders = Folders(Path(mkdtemp()))
    >>> with folders.one() as first:
    ...     _ = (first / "rows.csv").write_text("x")
    >>> with folders.one() as again:
    ...     again == first, [*again.iterdir()]
    (True, [])
    """

    def __init__(self, within: Path) -> None:
        self.within = within
        self._free: list[Path] = []
        self._made = 0

    @contextmanager
    def one(self) -> Iterator[Path]:
        """An empty folder, for as long as the block lasts; asked for by one thread."""
        if not self._free:
            self._made += 1
            self._free.append(self.within / str(self._made))
            self._free[-1].mkdir()
        folder = self._free.pop()
        try:
            yield folder
        finally:
            if emptied(folder):
                self._free.append(folder)


def emptied(folder: Path) -> bool:
    """Remove the files of a folder; where it holds folders, remove it, too. Whether it is there, and empty."""
    try:
        for path in folder.iterdir():
            path.unlink()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return True


class Place:
    """A folder that only this user may read. It is locked as long as this process lives.

    Attributes
    ----------
    folders : Folders
    """

    def __init__(self) -> None:
        remove_left()
        self._lock: IO[Any] | None = None
        while self._lock is None:
            self._own = Path(mkdtemp(prefix=PREFIX)).resolve()
            file = (self._own / LOCK).open("wb")
            locked(file)
            if (self._own / LOCK).exists():  # else another service that begins took it for one that was left
                self._lock = file
        (self._own / "requests").mkdir()
        self.folders = Folders(self._own / "requests")

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self._own, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __del__(self) -> None:
        with suppress(Exception):
            self.remove()


def remove_left() -> None:
    """Remove the folders of services of this user that were killed."""
    if not hasattr(os, "getuid"):
        return
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / LOCK).open("rb") as file:
                if locked(file):
                    shutil.rmtree(folder, ignore_errors=True)


def locked(file: IO[Any]) -> bool:
    """Lock a file unless another process has it locked; whether it was."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover  # of another system: nothing is removed
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
