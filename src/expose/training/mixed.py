"""Mixed precision that leaves rows as they are. Imported only to train: lightning_fabric is slow to load."""

from __future__ import annotations

from typing import Any

from lightning_fabric.plugins import MixedPrecision


class MixedBehindRows(MixedPrecision):
    """Mixed precision for what a network computes, and not for the rows it is given.

    bfloat16 holds whole numbers up to 256 only, so a row that came in it would have lost which tokens its text has.
    Autocasting makes bfloat16 of rows by itself wherever they enter a product of matrices.
    """

    def convert_input(self, data: Any) -> Any:
        """Rows stay in float32."""
        return data
