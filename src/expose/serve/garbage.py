"""Python's search for garbage, which has to pass by what stays: the libraries and the model are half a million objects.

Requests make many small objects, so that it is searched often, and looking through all others each time would take more
of the processor than some answers do.
"""

from __future__ import annotations

import gc


def settle() -> None:
    """Take all that is there now for what stays: it goes when nothing refers to it, and is searched no more."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def settle_again() -> None:
    """The same where it was done before, as what stays has changed."""
    if gc.get_freeze_count():
        settle()
