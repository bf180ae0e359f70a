"""Which parts or columns carry a score."""

from expose.explain.attribution import Attribution, attribute
from expose.explain.explanation import Explanation, explain, explain_parts

__all__ = ["Attribution", "Explanation", "attribute", "explain", "explain_parts"]
