"""Estimators: the rooms that know scikit-learn's conventions and skorch."""

from sktgdp.estimators._overlap import domain_overlap, overlap_weights
from sktgdp.estimators._state.persistence import load
from sktgdp.estimators.augmentation import AugmentedClassifier, GenerativeSampler
from sktgdp.estimators.density_ratio import DomainClassifier, effective_sample_size
from sktgdp.estimators.diffusion import DiffusionGenerator
from sktgdp.estimators.fine_tuned_series import FineTunedSeriesClassifier
from sktgdp.estimators.fine_tuning import FineTunedDiffusionGenerator
from sktgdp.estimators.series_classifier import SeriesClassifier
from sktgdp.estimators.tgdp import TGDPGenerator

__all__ = [
    "AugmentedClassifier",
    "DiffusionGenerator",
    "DomainClassifier",
    "FineTunedDiffusionGenerator",
    "FineTunedSeriesClassifier",
    "GenerativeSampler",
    "SeriesClassifier",
    "TGDPGenerator",
    "domain_overlap",
    "effective_sample_size",
    "load",
    "overlap_weights",
]
