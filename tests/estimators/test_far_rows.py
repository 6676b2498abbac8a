"""Finite numbers so large that floats overflow: what is computed from them is refused, not NaN."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_models import TINY, TINY_NETWORK, TINY_RATIO, TINY_SERIES, tiny_tgdp

from sktgdp import DiffusionGenerator, DomainClassifier, FineTunedDiffusionGenerator, SeriesClassifier

RNG = np.random.default_rng(0)
X, Y = RNG.normal(100.0, 10.0, (40, 2)), np.arange(40) % 2
DOMAINS = X, Y, X[:10] + 5.0, Y[:10]
SERIES = RNG.normal(size=(24, 1, 32))


def far(value: float) -> Any:
    rows = X[:9].copy()
    rows[[2, 5], 0] = value
    return rows


def test_rows_far_from_a_ratio() -> None:
    model = DomainClassifier(**TINY_RATIO, random_state=0).fit(*DOMAINS)
    for value in (-1e30, 1e30):
        assert np.isfinite(model.predict_proba(far(value), Y[:9])).all()
    for method in (model.log_density_ratio, model.predict_proba):
        with pytest.raises(FloatingPointError, match=r"ratio is not finite for 2 of 9 rows.*\[2, 5\]"):
            method(far(1e200), Y[:9])


def test_rows_far_from_a_generator() -> None:
    model = tiny_tgdp().fit(*DOMAINS)
    assert np.isfinite(model.score_samples(far(1e100))).all()
    with pytest.raises(FloatingPointError, match=r"log density is not finite for 2 of 9 rows.*\[2, 5\]"):
        model.score_samples(far(1e200))
    with pytest.raises(FloatingPointError, match=r"ratio is not finite for 2 of 9 rows.*\[2, 5\]"):
        model.log_density_ratio(far(1e200), Y[:9])
    with pytest.raises(FloatingPointError, match=r"Log h is not finite for 2 of 9 rows.*\[2, 5\]"):
        model.guidance(far(1e200), 0.5, Y[:9])


def test_rows_far_from_a_classifier_of_series() -> None:
    model = SeriesClassifier(**TINY_SERIES).fit(SERIES, Y[:24])
    rows = SERIES.copy()
    rows[3] = 1e200
    for method in (model.predict_proba, model.predict, model.embed):
        with pytest.raises(FloatingPointError, match=r"TinyXResNet gives is not finite for 1 of 24.*\[3\]"):
            method(rows)


# Fits -----------------------------------------------------------------------------------------------
def as_series(X: Any) -> Any:
    return X[:, None, :].repeat(16, axis=2)


FITS: dict[str, Callable[[Any], Any]] = {
    "one domain": lambda X: DiffusionGenerator(**TINY_NETWORK).fit(X, Y),
    "TGDP": lambda X: tiny_tgdp().fit(X, Y, X[:10], Y[:10]),
    "fine-tuned": lambda X: FineTunedDiffusionGenerator(DiffusionGenerator(**TINY_NETWORK), **TINY).fit(
        X, Y, X[:10], Y[:10]
    ),
    "ratio": lambda X: DomainClassifier(**TINY_RATIO).fit(X, Y, X[:10], Y[:10]),
    "series": lambda X: DiffusionGenerator(hidden_sizes=(4, 6), **TINY).fit(as_series(X)),
    "classifier of series": lambda X: SeriesClassifier(**TINY_SERIES).fit(as_series(X), Y),
}


def assert_finite(name: str, model: Any, rows: Any) -> None:
    if name == "classifier of series":
        found = model.predict_proba(as_series(rows))
    else:
        found = model.log_density_ratio(rows, Y) if name == "ratio" else model.sample(50, random_state=0)[0]
    assert np.isfinite(found).all()


def with_numbers(value: float, kind: str) -> Any:
    rows = X.copy()
    if kind == "one number":
        rows[0, 0] = value
    elif kind == "one column":
        rows[:, 0] = value
    else:
        rows *= value / rows.max()
    return rows


@pytest.mark.filterwarnings("ignore::sktgdp.exceptions.OverlapWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["one number", "one column", "all"])
@pytest.mark.parametrize("value", [1e38, 1e120])
@pytest.mark.parametrize("name", FITS)
def test_fits_of_large_numbers(name: str, value: float, kind: str) -> None:
    rows = with_numbers(value, kind)
    assert_finite(name, FITS[name](rows), rows)


@pytest.mark.filterwarnings("ignore::sktgdp.exceptions.OverlapWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["one number", "all"])
@pytest.mark.parametrize("value", [1e160, 1e200, 1e308])
@pytest.mark.parametrize("name", FITS)
def test_fits_of_numbers_without_a_square(name: str, value: float, kind: str) -> None:
    """They are scaled all the same, or refused by name."""
    try:
        model = FITS[name](with_numbers(value, kind))
    except ValueError as error:
        assert re.search(r"Numbers as large as 1e\+\d+ cannot be standardised.*divide", str(error))  # noqa: PT017
    else:
        assert_finite(name, model, with_numbers(value, kind))


@pytest.mark.parametrize("value", [1e160, 1e308])
@pytest.mark.parametrize("name", ["one domain", "TGDP"])
def test_fits_of_frames_of_numbers_without_a_square(name: str, value: float) -> None:
    with pytest.raises(ValueError, match="Column 'a' has values too large to be scaled"):
        FITS[name](pd.DataFrame(with_numbers(value, "one number"), columns=["a", "b"]))
