"""From a classifier of domains to a log density ratio: logits of any classifier, and their calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize

from sktgdp.estimators._rows.domains import Floats, Reals

__all__ = ["calibrate", "logit_of"]

# By how much the probabilities of a row may miss 1 for rounding.
ROUNDING = 1e-3


def logit_of(classifier: Any, x: Reals) -> Floats:
    """Logit of the probability of the target that a fitted scikit-learn classifier gives.

    Parameters
    ----------
    classifier : classifier of the classes 0 (source) and 1 (target)
    x : ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If ``predict_proba`` gives something else than two probabilities a row.
    """
    name = f"{type(classifier).__name__}.predict_proba"
    p = np.asarray(classifier.predict_proba(x))
    if p.shape != (len(x), 2) or p.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} gives shape {p.shape} and {p.dtype} for {len(x)} rows; a classifier of domains gives "
            f"numbers of shape ({len(x)}, 2), the probabilities of the source and of the target."
        )
    good = ((p >= 0.0) & (p <= 1.0)).all(axis=1) & (np.abs(p.sum(axis=1) - 1.0) <= ROUNDING)
    if not good.all():
        raise ValueError(
            f"{name} gives no probabilities in {(~good).sum()} of {len(x)} rows, but for instance "
            f"{p[~good][0].tolist()}; they must lie between 0 and 1 and sum to 1. Use another classifier of "
            "domains, or None for the default one."
        )
    p_target = np.clip(p[:, 1].astype(np.float64), 1e-9, 1.0 - 1e-9)
    return np.log(p_target) - np.log1p(-p_target)


def calibrate(out_source: Floats, out_target: Floats, with_offset: bool) -> tuple[float, float]:
    """Fit logit -> logit / temperature + offset by the class-balanced log-loss of unseen rows.

    A classifier from elsewhere may or may not have balanced its classes, hence the offset. The small
    penalty keeps both finite where the domains are separated.
    """

    def loss(params: Floats) -> float:
        slope, offset = np.exp(params[0]), params[1] if with_offset else 0.0
        source = np.logaddexp(0.0, slope * out_source + offset).mean()
        target = np.logaddexp(0.0, -(slope * out_target + offset)).mean()
        return float(0.5 * (source + target) + 1e-3 * (params[0] ** 2 + 0.01 * params[1] ** 2))

    start = np.array([0.0, 0.0])
    best = minimize(loss, start, method="L-BFGS-B", bounds=[(np.log(0.1), np.log(3.0)), (-20.0, 20.0)])
    return float(np.exp(-best.x[0])), float(best.x[1]) if with_offset else 0.0
