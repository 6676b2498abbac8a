"""Transformers between the user's rows and the networks' units."""

from sktgdp.preprocessing._filters import BandPass, BaselineRemover
from sktgdp.preprocessing._label_map import LabelMapper
from sktgdp.preprocessing._leads import INDEPENDENT_LEADS, STANDARD_LEADS, LeadReducer, limb_gains
from sktgdp.preprocessing._mixed import MixedTypeEncoder
from sktgdp.preprocessing._scaling import RowStandardizer
from sktgdp.preprocessing._signals import (
    CropPad,
    Resampler,
    SpectralTransformer,
    TransformerChain,
    make_chain,
)
from sktgdp.preprocessing._windows import BeatWindows, SlidingWindow, aggregate_windows

__all__ = [
    "INDEPENDENT_LEADS",
    "STANDARD_LEADS",
    "BandPass",
    "BaselineRemover",
    "BeatWindows",
    "CropPad",
    "LabelMapper",
    "LeadReducer",
    "MixedTypeEncoder",
    "Resampler",
    "RowStandardizer",
    "SlidingWindow",
    "SpectralTransformer",
    "TransformerChain",
    "aggregate_windows",
    "limb_gains",
    "make_chain",
]
