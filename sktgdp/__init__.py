"""Transfer learning of diffusion models, in the style of scikit-learn."""

from sktgdp.estimators._persistence import load
from sktgdp.estimators.augmentation import AugmentedClassifier, GenerativeSampler
from sktgdp.estimators.density_ratio import DomainClassifier
from sktgdp.estimators.diffusion import DiffusionGenerator
from sktgdp.estimators.fine_tuning import FineTunedDiffusionGenerator
from sktgdp.estimators.series_classifier import FineTunedSeriesClassifier, SeriesClassifier
from sktgdp.estimators.tgdp import TGDPGenerator

__version__ = "0.1.0"

__all__ = [
    "AugmentedClassifier",
    "DiffusionGenerator",
    "DomainClassifier",
    "FineTunedDiffusionGenerator",
    "FineTunedSeriesClassifier",
    "GenerativeSampler",
    "SeriesClassifier",
    "TGDPGenerator",
    "load",
]
