"""Which parts or columns carry a score."""

from expose.explain.attribution import Attribution, attribute
from expose.explain.columns import Explanation, explain

__all__ = ["Attribution", "Explanation", "attribute", "explain"]
