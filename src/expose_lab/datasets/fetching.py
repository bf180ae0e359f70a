"""Fetch a data set from its public origin: downloaded, verified, converted, verified again, then put in place.

Two checks make that safe: the raw file's git blob id where it is known, and always the digest of the finished table.
A changed origin is an error, never a wrong table. Pooch downloads: whole or not at all, with retries, never resumed.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from expose.atomic import all_or_nothing, publish, remove
from expose.errors import InputError, MissingExtraError
from expose_lab.datasets import layouts
from expose_lab.datasets.conversion import convert
from expose_lab.datasets.registry import Entry, Source, entry
from expose_lab.datasets.tables import data_folder, thyroid_csv

RETRIES, TIMEOUT = 4, 30  # tries after the first, with pauses of 1, 2, ... seconds; seconds without a byte


def fetch(
    name: str | Entry,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    progress: Any = False,
) -> Path | None:
    """Make a data set be there, and return its file.

    A file that is there is verified and nothing is downloaded. Otherwise the origins are tried in the order of the
    registry. Nothing stands under the final name before it is complete and is exactly the table that the registry
    describes.

    Parameters
    ----------
    name : str or Entry
        A name of the registry, or an entry of your own.
    data_dir : path, optional
        Where to put it. Default: as for `load`.
    progress : bool or object
        Whether a bar is shown, or what Pooch may show progress on.

    Returns
    -------
    Path or None
        None for ``"mulcross"``, which is computed and has no file.

    Raises
    ------
    InputError
        If no origin holds the set any more, or a file is in its place that is another table.
    MissingExtraError
        If Pooch, of the extra ``bench``, is not installed.
    OSError
        If the network or the disk fails.
    """
    known = name if isinstance(name, Entry) else entry(name)
    folder = data_folder(data_dir)
    here = layouts.find(known.stem, folder)
    if here is not None or known.name == "mulcross":
        known.check(*layouts.read(known.name, here), here or "What NumPy draws")
        return here
    if known.name == "thyroid":
        return thyroid_csv()
    if not known.sources:
        raise known.unavailable(folder)
    failures: list[str] = []
    for source in known.sources:
        try:
            return _from(source, known, folder, progress)
        except InputError as error:
            failures.append(str(error))
    raise InputError(
        f"Cannot fetch {known.name!r}. {'; '.join(failures)}. If you have the set from elsewhere, put it at "
        f"{target(known, folder)} with arrays X and y; it is verified when loaded."
    )


def target(known: Entry, folder: Path) -> Path:
    """Where a fetched set lies."""
    return folder / known.place


def download(url: str, folder: Path, progress: Any = False) -> Path:
    """Download a file whole or not at all.

    Raises
    ------
    InputError
        If the server refuses.
    OSError
        If the network fails, after several attempts, or the disk.
    """
    try:
        import pooch
        from requests import HTTPError
    except ImportError as error:
        raise MissingExtraError("Downloading needs Pooch: pip install 'expose[bench]'") from error

    pooch.get_logger().setLevel(logging.ERROR)  # it tells of each retry
    name = f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{url.rsplit('/', 1)[-1]}"
    origin = pooch.create(path=folder, base_url="", registry={name: None}, urls={name: url}, retry_if_failed=RETRIES)
    try:
        return Path(origin.fetch(name, downloader=pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT)))
    except HTTPError as error:  # an OSError too, like all errors of requests
        raise InputError(f"{url} answers {error}") from error


def _from(source: Source, known: Entry, folder: Path, progress: Any) -> Path:
    """Fetch from one origin."""
    raw = download(source.url, folder / "downloads", progress)
    try:
        path = target(known, folder).absolute()
        _convert(source, known, raw, path)
    except MissingExtraError as error:
        raise InputError(str(error)) from error
    except InputError as error:
        raise InputError(f"{source.url} no longer holds what it held: {error}") from error
    finally:
        remove(raw)
        remove_empty(raw.parent)
    return path


def _convert(source: Source, known: Entry, raw: Path, path: Path) -> None:
    """Verify a raw file, and write it as a table that is verified too."""
    if source.blob and not git_blob_id(raw).startswith(source.blob):
        raise InputError(f"its git blob id should begin with {source.blob}, but is {git_blob_id(raw)[:12]}")
    arrays = convert(source.form, raw)
    with all_or_nothing(path) as draft:
        with draft.open("xb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        known.check(*layouts.read(known.name, draft), "it")
        publish(draft, path)


def remove_empty(folder: Path) -> None:
    """Remove a folder if nothing is left in it."""
    if not any(folder.iterdir()):
        folder.rmdir()


def git_blob_id(path: Path) -> str:
    """Return the name that git gives to a file's content.

    Examples
    --------
    >>> import tempfile
    >>> empty = Path(tempfile.mkdtemp()) / "empty"
    >>> empty.touch()
    >>> git_blob_id(empty)
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    code = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            code.update(chunk)
    return code.hexdigest()
