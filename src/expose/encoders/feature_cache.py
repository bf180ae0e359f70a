"""Features of photos on disk, so that a second fit need not compute them: one file each, by what they are made of.

They are kept in the user's cache folder, or where ``EXPOSE_CACHE`` says; ``EXPOSE_CACHE=off`` keeps none. A file that
is damaged counts as missing, and the ones that were not used for longest are dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from expose.atomic import all_or_nothing
from expose.kinds.image_files import check_regular

MOST: Final = 4 * 2**30  # bytes that are kept
OFTEN: Final = MOST // 64  # bytes that are written between two looks at how much there is
OFF, ON = ("off", "0", "no", "false", "none"), ("", "on", "1", "yes", "true")
ENDING: Final = ".expose-features"  # of our files: the folder that is named may be one that holds others

Arrays = dict[str, NDArray[Any]]


def cache_folder() -> Path | None:
    """Where features are kept; None if they are not to be."""
    given = os.environ.get("EXPOSE_CACHE", "").strip()
    if given.lower() in OFF:
        return None
    return users_cache() / "expose" / "photos" if given.lower() in ON else Path(os.path.expanduser(given))


def users_cache() -> Path:
    """The folder of caches, as the system has it."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def key_of(photo: Path | NDArray[Any], made_by: Any) -> str:
    """What a photo's features are kept under: a digest of its content, and of all that they are made by, as JSON."""
    if isinstance(photo, Path):
        check_regular(photo)
        content = hashlib.sha256(photo.read_bytes())
    else:
        content = hashlib.sha256(f"{photo.dtype.str} {photo.shape} ".encode())
        content.update(np.ascontiguousarray(photo).data)
    return hashlib.sha256(json.dumps([made_by, content.hexdigest()], sort_keys=True).encode()).hexdigest()


@cache
def cache_in(folder: Path) -> FeatureCache:
    """The cache of a folder, one for all threads."""
    return FeatureCache(folder)


def ours_in(folder: Path) -> list[Path]:
    """Files of features in a folder, and what was left of such by processes that were killed."""
    with suppress(OSError):  # of a folder that cannot be
        return list(folder.glob(f"*/*{ENDING}*"))
    return []


class FeatureCache:
    """Arrays by key, in a folder that several processes may use at a time.

    Parameters
    ----------
    folder : Path
    most : int
        Bytes to keep.

    Examples
    --------
    >>> import tempfile
    >>> cache = FeatureCache(Path(tempfile.mkdtemp()))
    >>> cache.put("ab12", {"vector": np.ones(3, dtype=np.float32)})
    >>> cache.get("ab12")["vector"].tolist(), cache.get("cd34")
    ([1.0, 1.0, 1.0], None)
    """

    def __init__(self, folder: Path, most: int = MOST) -> None:
        self.folder = folder.absolute()
        self.most = most
        self.unseen = OFTEN  # bytes written since the last look; the first one comes with the first file
        self.lock = Lock()

    def place(self, key: str) -> Path:
        """The file of a key."""
        return self.folder / key[:2] / f"{key}{ENDING}"

    def get(self, key: str) -> Arrays | None:
        """What was kept; None if there is nothing, or it is damaged."""
        try:
            content = self.place(key).read_bytes()
            os.utime(self.place(key))  # it was used
        except OSError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return None
        return load(content[32:])

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep arrays, if the folder can be written to."""
        content = save(arrays)
        with suppress(OSError), all_or_nothing(self.place(key)) as draft:
            draft.write_bytes(hashlib.sha256(content).digest() + content)
            draft.replace(self.place(key))  # not waiting for the disk: half a file has another digest
        with self.lock:
            self.unseen += len(content)
            due = self.unseen >= min(OFTEN, self.most)
            self.unseen = 0 if due else self.unseen
        if due:
            self.trim()

    def trim(self) -> None:
        """Drop what was not used for longest, until there is some room again."""
        found = []
        for path in ours_in(self.folder):
            with suppress(OSError):  # another process may drop some, too
                found.append((path.stat().st_mtime, path.stat().st_size, path))
        left = sum(size for _, size, _ in found)
        for _, size, path in sorted(found) if left > self.most else ():
            if left <= 0.9 * self.most:
                break
            with suppress(OSError):
                path.unlink()
            left -= size
