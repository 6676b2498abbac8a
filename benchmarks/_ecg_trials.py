"""Fits of the ECG benchmark: three generators and five classifiers on one draw of the target's records."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from benchmarks._cache import Record, RunCache, code_version
from benchmarks._ecg_data import EcgShift, load_published, load_small
from benchmarks._trials import ASIDE, FIT_CODE, QUICK, QUICK_TGDP
from sktgdp import DiffusionGenerator, DomainClassifier, FineTunedDiffusionGenerator, TGDPGenerator
from sktgdp.estimators import FineTunedSeriesClassifier, SeriesClassifier
from sktgdp.metrics import coverage_score, frechet_distance
from sktgdp.nets import SSSDECG
from sktgdp.preprocessing import aggregate_windows

__all__ = ["CONFIGS", "Experiment"]

CODE = (*FIT_CODE, "sktgdp/metrics/*.py", "benchmarks/_ecg_data.py", "benchmarks/_ecg_trials.py")


@dataclass(frozen=True)
class Config:
    """Sizes of one experiment.

    Parameters
    ----------
    title : str
    source, vanilla, fine_tuned, tgdp, classifier : dict
        Parameters of the estimators.
    n_synthetic : int
        Windows that a generator adds to those of the target.
    """

    title: str
    source: Mapping[str, Any]
    vanilla: Mapping[str, Any]
    fine_tuned: Mapping[str, Any]
    tgdp: Mapping[str, Any]
    classifier: Mapping[str, Any]
    n_synthetic: int


# For every generator: a stochastic path corrects some of what an imperfect network does to rows on the way.
SAMPLING: dict[str, Any] = {"solver": "sde-dpm++2m", "n_steps": 50}
PUBLISHED_NETWORK = {"module": SSSDECG, "lr": 2e-4, "batch_size": 8, "early_stopping": False}
CONFIGS = {
    "small": Config(
        "Brugada-HUCA → LUDB",
        source={"max_steps": 8000, "batch_size": 32},
        vanilla={"max_steps": 1500, "batch_size": 32, "early_stopping": False},
        fine_tuned={"max_steps": 1500, "batch_size": 32, "early_stopping": False},
        tgdp={},
        classifier={"module": "small", "max_steps": 400, "batch_size": 64},
        n_synthetic=500,
    ),
    "published": Config(
        "PTB-XL → ICBEB2018",
        source={**PUBLISHED_NETWORK, "max_steps": 100_000},
        vanilla={**PUBLISHED_NETWORK, "max_steps": 50_000},
        fine_tuned={"lr": 2e-5, "batch_size": 8, "early_stopping": False, "max_steps": 20_000},
        tgdp={"batch_size": 32, "hidden_sizes": (512, 512, 512, 512), "max_steps": 10_000, "n_networks": 1},
        classifier={"module": "xresnet1d50", "max_steps": 5_000, "batch_size": 128},
        n_synthetic=5_000,
    ),
}
QUICK_NETWORKS: dict[str, dict[str, Any]] = {
    "small": {},
    "published": {"module": partial(SSSDECG, n_blocks=1, n_channels=8, state_size=4, label_size=4)},
}
QUICK_CLASSIFIER = {"module": "small", "max_steps": 5, "batch_size": 16}


@dataclass(frozen=True)
class Experiment:
    """One draw of the target records, and everything that is fitted on it."""

    config: str
    seed: int
    quick: bool
    store: RunCache
    folders: tuple[Path | None, Path | None] = (None, None)

    @property
    def settings(self) -> Config:
        """Sizes, those of a try if it is one."""
        config = CONFIGS[self.config]
        if not self.quick:
            return config
        tuned = {**QUICK, "max_steps": 3, "early_stopping": False}
        scored = {**tuned, **QUICK_NETWORKS[self.config]}
        return Config(config.title, scored, scored, tuned, QUICK_TGDP, QUICK_CLASSIFIER, n_synthetic=20)

    @property
    def shift(self) -> EcgShift:
        """The recordings."""
        return _load(self.config, self.seed, *self.folders)

    def key(self, what: str, *, shared: bool = False) -> Record:
        """Cache key of a fit on this draw, or of one on the source, which all draws share."""
        key: Record = {"what": what, "config": self.config, "settings": repr(self.settings)}
        return key if shared else key | {"seed": self.seed}

    def source_model(self) -> DiffusionGenerator:
        """The source's diffusion model."""
        model = DiffusionGenerator(random_state=0).set_params(**self.settings.source)
        code = code_version(CODE, ASIDE)
        key = self.key("source model", shared=True)
        return self.store.model(key, code, lambda: model.fit(self.shift.X_src, self.shift.y_src))

    def source_classifier(self) -> SeriesClassifier:
        """Classifier of the source's windows: what is fine-tuned, and whose features are compared."""
        model = SeriesClassifier(random_state=0).set_params(**self.settings.classifier)
        code = code_version(CODE, ASIDE)
        key = self.key("source classifier", shared=True)
        return self.store.model(key, code, lambda: model.fit(self.shift.X_src, self.shift.y_src))

    def samples(self, method: str) -> Record:
        """Windows that a generator draws, and what its fit cost on the target's side."""

        def compute() -> Record:
            shift, settings = self.shift, self.settings
            start = time.perf_counter()
            if method == "vanilla":
                model: Any = DiffusionGenerator(random_state=self.seed).set_params(**settings.vanilla)
                model.fit(shift.X_tgt, shift.y_tgt)
            else:
                frozen = FrozenEstimator(self.source_model())
                start = time.perf_counter()
                model = self._transferred(method, frozen)
                model.fit(shift.X_src, shift.y_src, shift.X_tgt, shift.y_tgt)
            seconds = time.perf_counter() - start
            n = max(settings.n_synthetic, 20 if self.quick else len(shift.X_test))
            options = {**SAMPLING, **({"n_steps": 2} if self.quick else {})}
            X, y = model.sample(n, random_state=self.seed, **options)
            found: Record = {"X": X, "y": y, "seconds": seconds, "n_parameters": int(model.n_parameters_)}
            if method == "tgdp":
                found |= {"ess": model.effective_sample_size_, "eta": model.eta_consistency_}
            return found

        return self.store.record(self.key(method), code_version(CODE, ASIDE), compute)

    def _transferred(self, method: str, source: FrozenEstimator) -> Any:
        if method == "fine-tuned":
            model = FineTunedDiffusionGenerator(source, random_state=self.seed)
            return model.set_params(**self.settings.fine_tuned)
        model = TGDPGenerator(source, domain_classifier=DomainClassifier(), random_state=self.seed)
        return model.set_params(**self.settings.tgdp)

    def fidelity(self, method: str) -> Record:
        """Coverage and Fréchet distance of windows in the source classifier's features; "source" as it is."""

        def compute() -> Record:
            shift = self.shift
            X = shift.X_src if method == "source" else self.samples(method)["X"]
            order = np.random.default_rng(self.seed).permutation(len(X))[: len(shift.X_test)]
            embed = self.source_classifier().embed
            real, drawn = embed(shift.X_test), embed(X[order])
            return {"coverage": coverage_score(real, drawn), "fid": frechet_distance(real, drawn)}

        return self.store.record(self.key(f"fidelity {method}"), code_version(CODE, ASIDE), compute)

    def scores(self, method: str) -> Record:
        """What a classifier makes of the held-out records, and of the target's windows it was trained on."""

        def compute() -> Record:
            shift = self.shift
            model = self._classifier(method)
            start = time.perf_counter()
            if method == "transfer":
                model.fit(shift.X_src, shift.y_src, shift.X_tgt, shift.y_tgt)
            else:
                X, y, weight = self._training_windows(method)
                model.fit(X, y, sample_weight=weight)
            seconds = time.perf_counter() - start
            test = self._probabilities(model, shift.X_test)
            records = aggregate_windows(test, shift.record)
            train = self._probabilities(model, shift.X_tgt)
            return {"test": records, "train": train, "seconds": seconds}

        return self.store.record(self.key(f"classifier {method}"), code_version(CODE, ASIDE), compute)

    def _classifier(self, method: str) -> Any:
        if method == "transfer":
            params = {k: v for k, v in self.settings.classifier.items() if k != "module"}
            source = FrozenEstimator(self.source_classifier())
            params |= {"head_steps": 5} if self.quick else {}
            return FineTunedSeriesClassifier(source, random_state=self.seed).set_params(**params)
        return SeriesClassifier(random_state=self.seed).set_params(**self.settings.classifier)

    def _training_windows(self, method: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
        """The target's windows, and a generator's; both with the same total weight."""
        shift = self.shift
        parts = [(shift.X_tgt, shift.y_tgt)]
        if method != "target":
            drawn = self.samples(method)
            n = self.settings.n_synthetic
            parts.append((drawn["X"][:n], drawn["y"][:n]))
        X, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        weight = np.concatenate([np.full(len(rows), 1.0 / len(rows)) for rows, _ in parts])
        return X, y, weight * len(weight) / weight.sum()

    def _probabilities(self, model: Any, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities of the judged classes; 0 for a class that the training rows lack."""
        given = np.asarray(model.predict_proba(X))
        if self.shift.columns is not None:
            return given[:, self.shift.columns]
        found = np.zeros((len(X), len(self.shift.classes)))
        for column, name in enumerate(model.classes_):
            found[:, list(self.shift.classes).index(str(name))] = given[:, column]
        return found


@lru_cache
def _load(config: str, seed: int, ptbxl: Path | None, icbeb: Path | None) -> EcgShift:
    if config == "small":
        return load_small(seed)
    if ptbxl is None or icbeb is None:
        raise SystemExit("--config published needs the folders of both collections: --ptbxl and --icbeb.")
    return load_published(seed, ptbxl=ptbxl, icbeb=icbeb)
