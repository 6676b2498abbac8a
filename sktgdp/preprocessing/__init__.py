"""Transformers between the user's rows and the networks' units."""

from sktgdp.preprocessing._mixed import MixedTypeEncoder
from sktgdp.preprocessing._scaling import RowStandardizer

__all__ = ["MixedTypeEncoder", "RowStandardizer"]
