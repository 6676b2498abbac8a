"""Whether the parts of an estimator that came out of a file fit together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from sktgdp.estimators._base import BaseGenerator
from sktgdp.estimators._rows.domains import InputForm
from sktgdp.estimators._series_model import SeriesModel
from sktgdp.estimators._state.checks import require
from sktgdp.estimators.density_ratio import DomainClassifier
from sktgdp.estimators.fine_tuning import FineTunedDiffusionGenerator
from sktgdp.estimators.tgdp import TGDPGenerator

__all__ = ["try_out"]

# Rows of more numbers are not tried: a file may say that they are as long as it likes.
MOST_NUMBERS = 2**22


def try_out(model: BaseEstimator) -> None:
    """Run an estimator once on a row of zeros, in the networks' units; raise where its parts disagree."""
    if isinstance(model, BaseGenerator):
        _try_generator(model)
    elif isinstance(model, DomainClassifier):
        _try_ratio(model)
    elif isinstance(model, SeriesModel):
        _try_classifier(model)
    else:  # one that holds a generator
        generator: Any = getattr(model, "generator_", None)
        if generator is not None:
            try_out(generator.estimator if isinstance(generator, FrozenEstimator) else generator)


def _try_generator(model: BaseGenerator) -> None:
    labels = model.labels_
    require(np.array_equal(model.classes_, labels.classes), "other classes than its labels")
    require((labels.kind == "none") == (model.prior_ is None), "labels without frequencies")
    codes = None
    if model.prior_ is not None:
        require(model.prior_.rows.shape[1] == labels.n_labels, "frequencies of other labels")
        codes = model.prior_.rows[:1]
        labels.decode(codes)
    if isinstance(model, TGDPGenerator | FineTunedDiffusionGenerator):
        _try_generator(model.source_model_)
    if isinstance(model, TGDPGenerator) and model.domain_classifier_ is not None:
        _try_ratio(model.domain_classifier_)
    _try_rows(model, codes)


def _try_rows(model: BaseGenerator, codes: Any) -> None:
    shape = model.latent_shape_
    if not _few(shape) or not _few(model.form_.event_shape):
        return
    y = None if codes is None else torch.from_numpy(codes).to(model.device_)
    row = torch.zeros((1, *shape), device=model.device_)
    noise = model.noise_model(y)(row, torch.tensor(0.5, device=model.device_))
    require(noise.shape == row.shape, f"a network of rows of shape {tuple(noise.shape[1:])}, not {shape}")
    if isinstance(model, TGDPGenerator) and model.time_classifier_ is not None:
        log_ratio = model.time_classifier_(row, torch.tensor(0.5).to(row), y)
        require(log_ratio.shape == (1,), "an odd time classifier")
    X = model.transformer_.inverse_transform(np.zeros((1, *shape)))
    require(X.shape == (1, *model.form_.event_shape), f"a transformer of rows of shape {X.shape[1:]}")
    model.form_.restore(X)


def _try_ratio(model: DomainClassifier) -> None:
    form: InputForm = model._form
    require(len(model.classifiers_) > 0 and model.temperature_ > 0, "no classifiers, or no temperature")
    if not _few(form.event_shape):
        return
    rows: Any = np.zeros((1, *form.event_shape))
    if form.columns is None:
        z = np.asarray(model.transformer_.transform(rows))
    else:  # a row of a frame: the one that the transformer takes for zero
        slices = getattr(model.transformer_, "output_slices_", None)
        width = form.event_shape[0] if slices is None else list(slices.values())[-1].stop
        z = np.zeros((1, width))
    y = None if model.labels_.kind == "none" else model.labels_.decode(np.eye(1, model.labels_.n_labels))
    require(model._log_ratio(model._features(z, y)).shape == (1,), "odd classifiers")


def _try_classifier(model: SeriesModel) -> None:
    require(np.array_equal(model.classes_, model.labels_.classes), "other classes than its labels")
    n_channels, length = model.units_.event_shape
    require(model.n_channels_ in (None, n_channels), "another number of channels")
    window = model.window_ or length
    require(0 < window <= length or model.window_ is not None, "an odd window")
    if not _few((n_channels, window)):
        return
    network = model.network_
    row = torch.zeros((1, n_channels, window)).to(next(network.parameters()))
    require(network(row).shape == (1, model.labels_.n_labels), "a network of other labels")


def _few(shape: tuple[int, ...]) -> bool:
    return math.prod(shape) <= MOST_NUMBERS
