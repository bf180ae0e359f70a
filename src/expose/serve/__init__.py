"""Scores over HTTP: a model folder as a service, whose answers are those of `expose score` to the bit.

The application is made by `app`, and `expose serve` runs it. FastAPI and what it is built on are imported when that is
called, not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expose.errors import MissingExtraError
from expose.serve.limits import Limits

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["Limits", "app", "needing_web"]
WEB = ("fastapi", "starlette", "uvicorn", "prometheus_client", "python_multipart", "anyio", "pydantic")


def app(model: str | Path, *, limits: Limits | None = None, token: str | None = None, **more: Any) -> FastAPI:
    """An application of FastAPI that scores with the model of a folder.

    Parameters
    ----------
    model : path
        Model folder, or a link to one. When another model stands there, that takes over.
    limits : Limits, optional
        What a request may ask for.
    token : str, optional
        What a request has to bring as ``Authorization: Bearer TOKEN``. Without one, only requests that were meant for
        this machine are answered: their host is ``localhost`` or an address of the loopback.
    **more
        ``id``, ``threshold`` and ``device`` as `Scorer` takes them; ``look_every``, the seconds between two looks
        whether another model stands in the folder (default 2, None: only when asked); ``drift_seconds``, of how long a
        time it is told whether scores are as in training (default an hour); ``log``, what is called with each event and
        its facts.

    Raises
    ------
    ModelFolderError
        When the folder holds no model.
    MissingExtraError
        When FastAPI is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from expose import AnomalyDetector
    >>> folder = tempfile.mkdtemp() + "/model"
    >>> AnomalyDetector(random_state=0).fit(np.random.default_rng(0).normal(size=(100, 2))).save(folder)
    >>> from fastapi.testclient import TestClient
    >>> client = TestClient(app(folder), base_url="http://localhost")
    >>> rows = client.post("/score", json=[{"x0": 0.1, "x1": 0.2}, {"x0": 9, "x1": 9}]).json()["rows"]
    >>> [row["is_anomaly"] for row in rows]
    [False, True]
    """
    with needing_web():
        from expose.serve.application import made
    return made(model, limits or Limits(), token, **more)


@contextmanager
def needing_web() -> Iterator[None]:
    """Say how to get the packages that a service is built on, where an import inside finds one missing.

    Raises
    ------
    MissingExtraError
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in WEB:
            raise
        raise MissingExtraError(f"a service needs {name}: pip install 'expose[web]'") from error
