"""Default lengths: about 3,000 optimiser steps whatever the number of rows, so that a fit takes seconds to minutes."""

from __future__ import annotations

import math

STEPS = 3_000
FEWEST_EPOCHS, MOST_EPOCHS = 5, 200
SMALLEST_BATCH, LARGEST_BATCH = 128, 1024
BATCHES_PER_EPOCH = 200


def default_batch_size(n_rows: int) -> int:
    """A power of two from 128 to 1,024 that makes about 200 batches of large tables.

    >>> default_batch_size(2_000), default_batch_size(1_000_000)
    (128, 1024)
    """
    power = 1 << int(math.log2(max(1, n_rows / BATCHES_PER_EPOCH)))
    return min(LARGEST_BATCH, max(SMALLEST_BATCH, power))


def default_epochs(n_rows: int, batch_size: int) -> int:
    """As many passes as make about 3,000 steps, from 5 to 200.

    >>> default_epochs(2_000, 128), default_epochs(1_000_000, 1024)
    (188, 5)
    """
    steps_per_epoch = -(-n_rows // batch_size)
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(STEPS / steps_per_epoch)))
