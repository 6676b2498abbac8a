"""Transfer learning of diffusion models, in the style of scikit-learn."""

from typing import TYPE_CHECKING, Any

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
_ROOMS = (
    "datasets", "estimators", "exceptions", "guidance", "likelihood", "losses", "metrics", "model_selection",
    "nets", "oracles", "plotting", "preprocessing", "process", "report", "solvers",
)  # fmt: skip

# PyTorch and skorch load with the first name that is used, not with the package: the command line
# answers --help, and `sktgdp.metrics` and `sktgdp.preprocessing` work, without them.
if TYPE_CHECKING:
    from sktgdp.estimators import (
        AugmentedClassifier,
        DiffusionGenerator,
        DomainClassifier,
        FineTunedDiffusionGenerator,
        FineTunedSeriesClassifier,
        GenerativeSampler,
        SeriesClassifier,
        TGDPGenerator,
        load,
    )
else:

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name in __all__:
            return getattr(import_module("sktgdp.estimators"), name)
        if name in _ROOMS:
            return import_module(f"sktgdp.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_ROOMS})
