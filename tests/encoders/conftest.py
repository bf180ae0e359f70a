"""For all tests of encoders."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from expose.encoders import Encoder, State


@pytest.fixture(scope="session")
def restored() -> Callable[[Encoder], Encoder]:
    """What becomes of an encoder that is stored as a model folder does it, and restored."""

    def store_and_restore(encoder: Encoder) -> Encoder:
        meta, arrays = encoder.state()
        return type(encoder).restore(State(json.loads(json.dumps(meta, allow_nan=False)), dict(arrays)))

    return store_and_restore
