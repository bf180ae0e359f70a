"""``expose bench`` and ``expose data``."""
