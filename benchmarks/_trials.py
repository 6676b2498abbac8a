"""One trial: a method, with its settings, on one data set and seed. Trials run side by side and are kept.

The methods are "vanilla" (a diffusion model of the target rows alone), "fine-tuned", "tgdp", and for
comparison "source" (the source model as it is), "exact" (fresh rows of the target itself, where its law
is known) and "parametric" (a fit of the mixture whose form is known). Fine-tuned, TGDP and source share one
source model per seed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import joblib
import numpy as np
import torch
from sklearn import mixture
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from benchmarks._cache import Record, RunCache, code_version
from benchmarks._data import FRESH, Shift, load_shift, source_key
from sktgdp import DiffusionGenerator, DomainClassifier, FineTunedDiffusionGenerator, TGDPGenerator
from sktgdp.oracles import GaussianMixture
from sktgdp.preprocessing import RowStandardizer

__all__ = ["QUICK", "Trial", "quick_params", "run_all", "run_trials", "trees"]

T = TypeVar("T")
# What a fit depends on; the baselines do not depend on what TGDP alone uses.
FIT_CODE = ("sktgdp/*.py", "sktgdp/nets/*.py", "sktgdp/preprocessing/*.py", "sktgdp/datasets/*.py")
FIT_CODE += ("sktgdp/estimators/**/*.py", "benchmarks/_data.py", "benchmarks/_trials.py")
ASIDE = ("sktgdp/__init__.py", "sktgdp/**/__init__.py")
TGDP_CODE = ("sktgdp/estimators/*tgdp*.py", "sktgdp/estimators/*ratio*.py", "sktgdp/estimators/*overlap*.py")
TGDP_CODE += ("sktgdp/estimators/*guidance*.py", "sktgdp/guidance.py", "sktgdp/nets/guidance.py")


QUICK = {"max_steps": 10, "batch_size": 32}
QUICK_TGDP = {
    **QUICK,
    "n_networks": 2,
    "domain_classifier__n_folds": 2,
    "domain_classifier__max_steps": 5,
}


def quick_params(method: str) -> dict[str, Any]:
    """Parameters with which a method runs in no time, to no purpose but to see that it runs."""
    if method in ("exact", "source", "parametric"):
        return {}
    return dict(QUICK_TGDP if method == "tgdp" else QUICK)


def trees(quick: bool) -> ExtraTreesClassifier | None:
    """Classifier of the two-sample test: the metric's own, or a few trees."""
    return ExtraTreesClassifier(5, min_samples_leaf=5, random_state=0) if quick else None


@dataclass(frozen=True)
class Trial:
    """One fit and what is kept of it; everything in it is part of the cache key.

    Parameters
    ----------
    data : dict
        Name of the data set, see `benchmarks._data`.
    method : str
    params : dict
        Parameters of the estimator, as for ``set_params``.
    source_params : dict
        Parameters of the source model.
    labels : bool
        Fit with class labels.
    n_samples : int or None
        Rows to draw; None for as many as there are test rows.
    members : int
        Networks that are trained with seeds of their own and averaged, as TGDP does by itself.
    """

    data: dict[str, Any]
    method: str
    params: dict[str, Any] = field(default_factory=dict)
    source_params: dict[str, Any] = field(default_factory=dict)
    labels: bool = True
    n_samples: int | None = None
    members: int = 1

    @property
    def seed(self) -> int:
        """Seed of the data and of the fit."""
        return int(self.data.get("seed", 0))

    @property
    def code(self) -> str:
        """Version of the code that the outcome depends on."""
        return code_version(FIT_CODE, ASIDE if self.method == "tgdp" else ASIDE + TGDP_CODE)

    def key(self) -> dict[str, Any]:
        """Name of the trial in the cache."""
        return {"method": self.method} | asdict(self)

    def describe(self) -> str:
        """One line for the progress report."""
        members = {"members": self.members} if self.members > 1 else {}
        words = [f"{k}={v}" for k, v in (self.data | self.params | members).items() if k != "name"]
        return " ".join([self.data["name"], self.method, *words])


def _diffusion(params: Mapping[str, Any]) -> DiffusionGenerator:
    """A diffusion model; its transformer goes by a name, so that it can be part of a key."""
    common = params.get("transformer") == "common"
    named = {"transformer": RowStandardizer(common_scale=True)} if common else {}
    return DiffusionGenerator().set_params(**{**params, **named})


def source_model(trial: Trial, shift: Shift, store: RunCache) -> DiffusionGenerator:
    """The source model of a trial, fitted once for all trials that share its source rows."""
    key = {"model": "source", **source_key(trial.data), **trial.source_params, "labels": trial.labels}
    model = _diffusion(trial.source_params).set_params(random_state=int(key.get("seed", 0)))
    code = code_version(FIT_CODE, ASIDE + TGDP_CODE)
    return store.model(key, code, lambda: model.fit(shift.X_src, shift.y_src if trial.labels else None))


def _unfitted(trial: Trial, source: DiffusionGenerator | None) -> Any:
    """The estimator of a trial with its parameters."""
    if trial.method == "vanilla":
        return _diffusion(trial.params)
    kind = {"fine-tuned": FineTunedDiffusionGenerator, "tgdp": TGDPGenerator}[trial.method]
    model = kind(source_model=FrozenEstimator(source), random_state=trial.seed)
    if any(name.startswith("domain_classifier__") for name in trial.params):
        model.set_params(domain_classifier=DomainClassifier())
    return model.set_params(**trial.params)


def _mean_of(models: Sequence[Any]) -> Any:
    """A generator whose noise prediction is the mean of those of several."""
    first = copy(models[0])

    def noise_model(y: Tensor | None = None) -> Callable[[Tensor, Tensor], Tensor]:
        members = [model.noise_model(y) for model in models]
        return lambda x_t, t: torch.stack([member(x_t, t) for member in members]).mean(0)

    first.noise_model = noise_model
    first.history_ = [entry for model in models for entry in model.history_]
    first.n_parameters_ = sum(model.n_parameters_ for model in models)
    return first


def fit_generator(trial: Trial, shift: Shift, store: RunCache) -> tuple[Any, float]:
    """The fitted generator of a trial, and the seconds of its target side."""
    source = None if trial.method == "vanilla" else source_model(trial, shift, store)
    if trial.method == "source":
        return source, 0.0
    data: tuple[Any, ...] = (shift.X_src, shift.y_src, shift.X_tgt, shift.y_tgt)
    if not trial.labels:
        data = (shift.X_src, None, shift.X_tgt, None)
    if trial.method == "vanilla":
        data = data[2:]
    models = [_unfitted(trial, source) for _ in range(trial.members)]
    start = time.perf_counter()
    for k, model in enumerate(models):
        # another seed holds other rows out
        model.set_params(random_state=trial.seed + k * FRESH).fit(*data)
    seconds = time.perf_counter() - start
    return models[0] if trial.members == 1 else _mean_of(models), seconds


def noise_error(model: Any, shift: Shift, *, labels: bool, n: int = 20_000) -> float:
    """E ||eps_hat - eps*||^2 against the exact target score, in the units of the model's transformer."""
    assert shift.oracle is not None
    mean, scale = (torch.as_tensor(getattr(model.transformer_, a)).double() for a in ("mean_", "scale_"))
    oracle = shift.oracle.standardized(mean, scale)
    generator = torch.Generator().manual_seed(0)
    if not labels:
        return oracle.noise_error(model.noise_model(), n, generator, dtype=torch.float32)
    classes = np.unique(shift.y_src)

    def conditional(x_t: Tensor, t: Tensor, component: Tensor) -> Tensor:
        codes = torch.from_numpy(model.labels_.encode(classes[component.numpy()]))
        return model.noise_model(codes)(x_t, t)

    return oracle.noise_error(conditional, n, generator, conditional=True, dtype=torch.float32)


def _log_ratios(model: TGDPGenerator, shift: Shift, seed: int, labels: bool) -> Record:
    """Estimated and true log density ratio at fresh rows of both domains."""
    assert shift.oracle is not None
    generator = torch.Generator().manual_seed(seed + FRESH)
    drawn = [law.sample(500, generator) for law in (shift.oracle.source, shift.oracle.target)]
    X, components = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    y = np.unique(shift.y_src)[components.numpy()] if labels else None
    return {
        "log_ratio": np.asarray(model.log_density_ratio(X.numpy(), y)),
        "true_log_ratio": shift.oracle.log_density_ratio(X, components if labels else None).numpy(),
        "from_target": np.repeat([False, True], 500),
    }


def _steps(model: Any) -> int:
    """Gradient steps on the target side, over all networks; of those that may stop early, at most."""
    last, total = ("", 0), 0
    for entry in model.history_:
        here = (entry["phase"], int(entry["step"]))
        if here[0] != last[0] or here[1] <= last[1]:  # the next network begins
            total += last[1]
        last = here
    total += last[1]
    ratio = getattr(model, "domain_classifier_", None)
    return total if ratio is None else total + len(ratio.classifiers_) * ratio.max_steps


def _describe_tgdp(model: TGDPGenerator) -> Record:
    return {
        "ess": float(model.effective_sample_size_),
        "eta_cycle": float(model.eta_cycle_),
        "eta_consistency": float(model.eta_consistency_),
    }


def _parametric(shift: Shift, n: int, seed: int) -> Record:
    """Maximum likelihood among mixtures of two round Gaussians."""
    start = time.perf_counter()
    fit = mixture.GaussianMixture(2, covariance_type="spherical", n_init=10, random_state=seed)
    fit.fit(shift.X_tgt)
    law = GaussianMixture(*map(torch.from_numpy, (fit.weights_, fit.means_, fit.covariances_)))
    seconds = time.perf_counter() - start
    unit = RowStandardizer().fit(shift.X_tgt)
    mean, scale = (torch.as_tensor(getattr(unit, name)) for name in ("mean_", "scale_"))
    assert shift.oracle is not None
    generator = torch.Generator().manual_seed(seed)
    error = shift.oracle.standardized(mean, scale).noise_error(
        law.standardized(mean, scale).noise, 20_000, generator
    )
    rows = law.sample(n, generator)[0].numpy()
    return {"X": rows, "eps_error": error, "fit_seconds": seconds, "steps": 0}


def execute(trial: Trial, store: RunCache) -> Record:
    """Fit, draw, and note what the fitted model can tell."""
    shift = load_shift(trial.data)
    n = trial.n_samples or len(shift.X_test)
    if trial.method == "exact":
        assert shift.X_more is not None
        return {"X": shift.X_more[:n], "eps_error": 0.0, "fit_seconds": 0.0, "steps": 0}
    if trial.method == "parametric":
        return _parametric(shift, n, trial.seed)
    model, seconds = fit_generator(trial, shift, store)
    record: Record = {
        "fit_seconds": seconds,
        "steps": 0 if trial.method == "source" else _steps(model),
        "n_parameters": 0 if trial.method == "source" else int(model.n_parameters_),
    }
    start = time.perf_counter()
    X, y = model.sample(n, random_state=trial.seed)
    record |= {"sample_seconds": time.perf_counter() - start, "X": np.asarray(X, dtype=np.float32)}
    if y is not None:
        record["y"] = np.asarray(y)
    if trial.method == "tgdp":
        record |= _describe_tgdp(model)
    if shift.oracle is not None:
        record["eps_error"] = noise_error(model, shift, labels=trial.labels)
        if trial.method == "tgdp":
            record |= _log_ratios(model, shift, trial.seed, trial.labels)
    return record


def run_trial(trial: Trial, store: RunCache) -> Record:
    """The record of a trial, from the cache where it is there."""
    return store.record(trial.key(), trial.code, lambda: execute(trial, store))


def _single_thread(task: Callable[[], T]) -> tuple[T, float]:
    torch.set_num_threads(1)
    start = time.perf_counter()
    return task(), time.perf_counter() - start


def run_all(tasks: Sequence[tuple[str, Callable[[], T]]], jobs: int) -> list[T]:
    """Run tasks with their descriptions, several at a time if ``jobs`` > 1; the results come in order."""
    results: list[T] = []
    total = len(tasks)

    def report(name: str, seconds: float) -> None:
        print(f"[{len(results):>4}/{total}] {name}  {seconds:.1f} s", file=sys.stderr, flush=True)

    if jobs == 1:
        for name, task in tasks:
            start = time.perf_counter()
            results.append(task())
            report(name, time.perf_counter() - start)
        return results
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs")
    calls = (joblib.delayed(_single_thread)(task) for _, task in tasks)
    for (name, _), (result, seconds) in zip(tasks, parallel(calls), strict=True):
        results.append(result)
        report(name, seconds)
    return results


@dataclass(frozen=True)
class _Task:
    """A trial bound to its cache: a call that travels to another process."""

    trial: Trial
    store: RunCache
    what: Callable[[Trial, RunCache], Any]

    def __call__(self) -> Any:
        return self.what(self.trial, self.store)


def _fit_source(trial: Trial, store: RunCache) -> None:
    source_model(trial, load_shift(trial.data), store)


def run_trials(trials: Iterable[Trial], store: RunCache, jobs: int = 1) -> list[Record]:
    """Records of trials: first the source models that the missing ones share, then the missing ones."""
    wanted = list(trials)
    missing = [trial for trial in wanted if not store.has(trial.key(), trial.code)]
    sources: dict[str, _Task] = {}
    for trial in missing:
        if trial.method not in ("vanilla", "exact", "parametric"):
            key = source_key(trial.data) | trial.source_params | {"labels": trial.labels}
            sources.setdefault(f"source model {key}", _Task(trial, store, _fit_source))
    run_all(list(sources.items()), jobs)
    run_all([(trial.describe(), _Task(trial, store, run_trial)) for trial in missing], jobs)
    return [run_trial(trial, store) for trial in wanted]
