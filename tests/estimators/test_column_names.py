"""Frames whose columns cannot be told apart by name are refused by every estimator, for each argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_models import TINY, TINY_NETWORK, TINY_RATIO, TINY_SERIES, tiny_tgdp

from sktgdp import (
    AugmentedClassifier,
    DiffusionGenerator,
    DomainClassifier,
    FineTunedDiffusionGenerator,
    GenerativeSampler,
    SeriesClassifier,
)

X, Y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
GENERATOR = DiffusionGenerator(**TINY_NETWORK)
ONE_DOMAIN: dict[str, Callable[[Any], Any]] = {
    "one domain": lambda X: DiffusionGenerator(**TINY_NETWORK).fit(X, Y),
    "augmented": lambda X: AugmentedClassifier(generator=GENERATOR, n_synthetic=4).fit(X, Y),
    "sampler": lambda X: GenerativeSampler(GENERATOR).fit_resample(X, Y),
    "series": lambda X: SeriesClassifier(**TINY_SERIES).fit(X, Y),
}
TWO_DOMAINS: dict[str, Callable[[Any, Any], Any]] = {
    "TGDP": lambda a, b: tiny_tgdp().fit(a, Y, b, Y),
    "fine-tuned": lambda a, b: FineTunedDiffusionGenerator(GENERATOR, **TINY).fit(a, Y, b, Y),
    "ratio": lambda a, b: DomainClassifier(**TINY_RATIO).fit(a, Y, b, Y),
}
CASES = [
    (["a", "a"], r"{} has several columns of one name: \['a'\]"),
    (["a", np.nan], r"{} has columns without a name, at the positions \[1\]"),
    ([np.nan, np.nan], r"{} has columns without a name, at the positions \[0, 1\]"),
    ([None, pd.NA], r"{} has columns without a name, at the positions \[0, 1\]"),
]


@pytest.mark.parametrize(("columns", "message"), CASES, ids=str)
@pytest.mark.parametrize("name", ONE_DOMAIN)
def test_one_domain(name: str, columns: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.format("X")):
        ONE_DOMAIN[name](pd.DataFrame(X, columns=pd.Index(columns, dtype=object)))


@pytest.mark.parametrize(("columns", "message"), CASES, ids=str)
@pytest.mark.parametrize("name", TWO_DOMAINS)
def test_two_domains(name: str, columns: list[Any], message: str) -> None:
    good, bad = (pd.DataFrame(X, columns=pd.Index(c, dtype=object)) for c in (["a", "b"], columns))
    with pytest.raises(ValueError, match=message.format("X_src")):
        TWO_DOMAINS[name](bad, bad)
    with pytest.raises(ValueError, match=message.format("X_tgt")):
        TWO_DOMAINS[name](good, bad)


@pytest.mark.parametrize("columns", [[0, 1], [("a", 1), ("a", 2)]], ids=str)
def test_names_that_are_no_texts(columns: list[Any]) -> None:
    frame = pd.DataFrame(X, columns=columns)
    drawn = DiffusionGenerator(**TINY_NETWORK).fit(frame).sample(3)[0]
    assert list(drawn.columns) == columns
