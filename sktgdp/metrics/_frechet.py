r"""Fréchet distance between the Gaussians fitted to two samples of features.

With means :math:`m_i` and covariances :math:`C_i` of the two samples,

.. math:: F = \|m_1 - m_2\|^2 + \operatorname{tr} C_1 + \operatorname{tr} C_2
              - 2 \sum_i \sqrt{\lambda_i(C_1 C_2)}.

Let :math:`A_i` be the centred feature matrix over :math:`\sqrt{n_i - 1}`, so that :math:`C_i = A_i^\top A_i`.
The square roots of the eigenvalues of :math:`C_1 C_2` are the singular values of :math:`A_1 A_2^\top`. This
form needs no matrix square root, stays real, and does not care whether a covariance is singular.

References
----------
Dowson & Landau, "The Fréchet distance between multivariate normal distributions", 1982.
Heusel et al., "GANs trained by a two time-scale update rule", 2017 (FID).
Chong & Forsyth, "Effectively unbiased FID and Inception score", 2020 (extrapolation to infinitely many rows).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, eigh, svdvals
from sklearn.utils import check_random_state

from sktgdp.metrics._checks import Floats, check_count, check_pair, check_rows
from sktgdp.metrics._scale import about_centre, in_units

__all__ = ["fid_infinity_score", "fid_score", "frechet_distance"]

# Below this width the exact route costs nothing.
FAST_MIN_FEATURES = 256
# Largest bound on the error of the fast route, relative to the traces, before the exact route is taken. The
# bound is far above the error: where it read 1e-6, spectra of many shapes were right to 1e-12.
FAST_TOLERANCE = 1e-6


def _centred_root(F: Floats) -> Floats:
    """Matrix A with A^T A the unbiased covariance of the rows."""
    root = F - F.mean(axis=0)
    root /= np.sqrt(len(F) - 1)
    return root


def _fast_root_trace(C1: Floats, C2: Floats) -> float | None:
    """Sum of the root eigenvalues of C1 C2 through a symmetric eigenproblem, or None where it loses digits.

    An eigenvalue carries an error of about ``eps * |C1| * |C2|``, and its root half of that over the root:
    fine for well-conditioned covariances, poor for nearly singular ones.
    """
    try:
        eigenvalues = eigh(C2, C1, type=2, driver="gv", eigvals_only=True, check_finite=False)
    except LinAlgError:
        return None
    error = np.finfo(np.float64).eps * np.linalg.norm(C1) * np.linalg.norm(C2)
    if error == 0.0:  # one sample is constant
        return 0.0
    lost = 0.5 * error * np.sum(1.0 / np.sqrt(np.maximum(eigenvalues, error)))
    if lost > FAST_TOLERANCE * (np.trace(C1) + np.trace(C2)):
        return None
    return float(np.sqrt(np.maximum(eigenvalues, 0.0)).sum())


def _root_trace(A1: Floats, A2: Floats) -> float:
    """Sum of the root eigenvalues of C1 C2, with C_i = A_i^T A_i."""
    n_features = A1.shape[1]
    if min(len(A1), len(A2)) > n_features:
        fast = _fast_root_trace(A1.T @ A1, A2.T @ A2) if n_features >= FAST_MIN_FEATURES else None
        if fast is not None:
            return fast
        A1, A2 = (np.asarray(np.linalg.qr(A, mode="r")) for A in (A1, A2))
    return float(svdvals(A1 @ A2.T, overwrite_a=True, check_finite=False).sum())


def _frechet(F_real: Floats, F_syn: Floats) -> float:
    """Fréchet distance of checked features."""
    A1, A2 = _centred_root(F_real), _centred_root(F_syn)
    shift = F_real.mean(axis=0) - F_syn.mean(axis=0)
    total = float(shift @ shift + np.vdot(A1, A1) + np.vdot(A2, A2))
    return max(total - 2.0 * _root_trace(A1, A2), 0.0)


def _in_squared_units(distance: Callable[[Floats, Floats], float], F_real: Floats, F_syn: Floats) -> float:
    """A distance in the squared unit of the features, computed in one in which squares are safe."""
    F_real, F_syn, exponent = about_centre(F_real, F_syn)
    return float(in_units(distance(F_real, F_syn), 2 * exponent, "Fréchet distance"))


def frechet_distance(F_real: ArrayLike, F_syn: ArrayLike) -> float:
    r"""Fréchet distance between the Gaussians fitted to two feature samples.

    This is the squared 2-Wasserstein distance of two normal laws, and FID when the features come from a
    network. It is biased upward in small samples, by about :math:`O(d^2 / n)`; see `fid_infinity_score`.

    Parameters
    ----------
    F_real : array-like of shape (n_real, n_features)
        Features of real rows; at least 2 rows. Series (n, channels, length) are flattened.
    F_syn : array-like of shape (n_syn, n_features)
        Features of synthetic rows; at least 2 rows.

    Returns
    -------
    float
        Distance, at least 0, in squared units of the features. Singular covariances (fewer rows than
        features, constant features) are normal input.

    Notes
    -----
    When both samples have more rows than features, a symmetric eigenproblem is solved and its error is
    bounded; otherwise, or where the bound is poor, the singular values of the centred features are taken.

    References
    ----------
    Dowson & Landau, "The Fréchet distance between multivariate normal distributions", 1982.

    Examples
    --------
    >>> from sktgdp.metrics import frechet_distance
    >>> round(frechet_distance([[0.0], [2.0]], [[1.0], [3.0]]), 6)
    1.0
    """
    pair = check_pair(
        F_real, F_syn, names=("F_real", "F_syn"), min_rows=(2, 2), reason="a covariance of the features"
    )
    return _in_squared_units(_frechet, *pair)


def _extract(X: Any, name: str, feature_extractor: Any) -> Any:
    """Features of ``X``; the rows themselves where no extractor is given."""
    if feature_extractor is None:
        return X
    methods = (getattr(feature_extractor, name, None) for name in ("embed", "transform"))
    extract = next(filter(None, methods), feature_extractor)
    if not callable(extract) or isinstance(feature_extractor, type):
        raise TypeError(
            f"feature_extractor must be None, a callable X -> features, or a fitted estimator with `embed` "
            f"or `transform`, got {feature_extractor!r}. Pass one of its methods instead."
        )
    checked = check_rows(extract(X), f"feature_extractor({name})", min_rows=2, reason="a covariance")
    if len(checked) != len(X):
        raise ValueError(
            f"feature_extractor must return one row of features per row of {name}, got {len(checked)} for "
            f"{len(X)} rows."
        )
    return checked


def _features(
    X_real: ArrayLike, X_syn: ArrayLike, feature_extractor: Any, *, min_rows: int = 2
) -> tuple[Floats, Floats]:
    """Checked features of both samples."""
    F_real = _extract(X_real, "X_real", feature_extractor)
    F_syn = _extract(X_syn, "X_syn", feature_extractor)
    names = ("X_real", "X_syn") if feature_extractor is None else ("F(X_real)", "F(X_syn)")
    return check_pair(F_real, F_syn, names=names, min_rows=(min_rows, min_rows), reason="the score")


def fid_score(
    X_real: ArrayLike, X_syn: ArrayLike, feature_extractor: Callable[..., Any] | Any | None = None
) -> float:
    """Fréchet distance between real and synthetic rows in the space of a feature extractor.

    Parameters
    ----------
    X_real : array-like of shape (n_real, n_features) or (n_real, channels, length)
        Real rows, held out from the generator's training.
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows.
    feature_extractor : None, callable or fitted estimator, default=None
        None takes the rows themselves as features, series flattened. An estimator is asked for
        ``embed(X)`` or, failing that, ``transform(X)``; a callable for ``feature_extractor(X)``. Either
        returns (n_samples, n_embedding) and receives ``X`` as it was given.

    Returns
    -------
    float
        Distance, at least 0; smaller is better. Compare only scores with equal extractors and equal numbers
        of rows: the bias of small samples is large (about 3.4 at 50 rows of 16 features when the true
        distance is 0).

    See Also
    --------
    fid_infinity_score : Without most of the small-sample bias.

    References
    ----------
    Heusel et al., "GANs trained by a two time-scale update rule", 2017.
    """
    return _in_squared_units(_frechet, *_features(X_real, X_syn, feature_extractor))


def fid_infinity_score(
    X_real: ArrayLike,
    X_syn: ArrayLike,
    feature_extractor: Callable[..., Any] | Any | None = None,
    *,
    n_points: int = 15,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Fréchet distance extrapolated to infinitely many rows.

    Its bias falls like one over the number of rows. Both samples are thinned to the same fraction f, for 1/f
    on a grid over [1, 2]; a straight line in 1/f is fitted and read at 1/f = 0.

    Parameters
    ----------
    X_real, X_syn : array-like of shape (n_samples, n_features) or (n_samples, channels, length)
        Real and synthetic rows, at least 4 each; trustworthy from about ten rows, and four times as many rows
        as features.
    feature_extractor : None, callable or fitted estimator, default=None
        As in `fid_score`; it is called once per sample.
    n_points : int, default=15
        Sample sizes on the line, each at the cost of one Fréchet distance; at least 2.
    random_state : int, RandomState or None
        Seed of the thinning.

    Returns
    -------
    float
        Estimate of the distance between the two laws. Nearly unbiased, hence slightly negative at times when
        the laws are equal, and noisier than `fid_score`.

    References
    ----------
    Chong & Forsyth, "Effectively unbiased FID and Inception score and where to find them", 2020.
    """
    n_points = check_count(n_points, "n_points", minimum=2)
    F_real, F_syn = _features(X_real, X_syn, feature_extractor, min_rows=4)
    rng = check_random_state(random_state)
    return _in_squared_units(lambda real, syn: _at_infinity(real, syn, n_points, rng), F_real, F_syn)


def _at_infinity(F_real: Floats, F_syn: Floats, n_points: int, rng: np.random.RandomState) -> float:
    """Distances of thinned samples, on a straight line in one over the share of the rows, read at 0."""
    inverse_shares, distances = [], []
    for f in np.linspace(1.0, 2.0, n_points):
        real, syn = _thin(F_real, f, rng), _thin(F_syn, f, rng)
        # sizes are whole numbers: the shares are those that came of it
        inverse_shares.append(0.5 * (len(F_real) / len(real) + len(F_syn) / len(syn)))
        distances.append(_frechet(real, syn))
    return float(np.polyfit(inverse_shares, distances, 1)[1])


def _thin(F: Floats, inverse_fraction: float, rng: np.random.RandomState) -> Floats:
    """Random rows without replacement, one in ``inverse_fraction``."""
    return F[rng.permutation(len(F))[: round(len(F) / inverse_fraction)]]
