"""Fetch a data set from its public origin: downloaded, verified, converted, verified again, then put in place.

No origin could be reached from where this was written. Two checks make that safe: the raw file's git blob id where
it is known, and always the digest of the finished table. A changed origin is an error, never a wrong table.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from expose.atomic import all_or_nothing
from expose.errors import InputError, MissingExtraError
from expose.evaluation import layouts
from expose.evaluation.conversion import convert
from expose.evaluation.datasets import data_folder, thyroid_csv
from expose.evaluation.download import Progress, RefusedError, discard, download
from expose.evaluation.registry import Entry, Source, entry


def fetch(
    name: str | Entry,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Path | None:
    """Make a data set be there, and return its file.

    A file that is there is verified and nothing is downloaded. Otherwise the origins are tried in the order of the
    registry. An interrupted download goes on where it stopped. Nothing stands under the final name before it is
    complete and is exactly the table that the registry describes.

    Parameters
    ----------
    name : str or Entry
        A name of the registry, or an entry of your own.
    data_dir : path, optional
        Where to put it. Default: as for `load`.
    progress : callable, optional
        See `download`.
    sleep : callable
        Called with the seconds of each pause between two attempts.

    Returns
    -------
    Path or None
        None for ``"mulcross"``, which is computed and has no file.

    Raises
    ------
    InputError
        If no origin holds the set any more, or a file is in its place that is another table.
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
            return _from(source, known, folder, progress, sleep)
        except (InputError, MissingExtraError, RefusedError) as error:
            failures.append(str(error))
    raise InputError(
        f"Cannot fetch {known.name!r}. {'; '.join(failures)}. If you have the set from elsewhere, put it at "
        f"{target(known, folder)} with arrays X and y; it is verified when loaded."
    )


def target(known: Entry, folder: Path) -> Path:
    """Where a fetched set lies."""
    return folder / ("embeddings" if known.group == "embedding" else "tabular") / f"{known.stem}.npz"


def _from(
    source: Source, known: Entry, folder: Path, progress: Progress | None, sleep: Callable[[float], object]
) -> Path:
    """Fetch from one origin."""
    mark = hashlib.sha256(source.url.encode()).hexdigest()[:8]
    part = folder / "downloads" / f"{mark}-{source.url.rsplit('/', 1)[-1]}.part"
    download(source.url, part, sleep=sleep, progress=progress)
    try:
        if source.blob and not git_blob_id(part).startswith(source.blob):
            raise InputError(f"its git blob id should begin with {source.blob}, but is {git_blob_id(part)[:12]}")
        arrays = convert(source.form, part)
        path = target(known, folder).absolute()
        with all_or_nothing(path) as draft:
            with draft.open("xb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            known.check(*layouts.read(known.name, draft), "it")
            draft.replace(path)
    except MissingExtraError:
        discard(part)
        raise
    except InputError as error:
        discard(part)
        raise InputError(f"{source.url} no longer holds what it held: {error}") from error
    discard(part)
    return path


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
