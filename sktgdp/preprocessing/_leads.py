r"""The twelve leads of an ECG, of which eight are independent.

Einthoven's law and Goldberger's definitions of the augmented leads,

.. math:: III = II - I, \quad aVR = -(I + II) / 2, \quad aVL = (I - III) / 2, \quad aVF = (II + III) / 2,

leave two of the six limb leads free. With I and aVF,

.. math:: II = I/2 + aVF, \quad III = -I/2 + aVF, \quad aVR = -3I/4 - aVF/2, \quad aVL = 3I/4 - aVF/2.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sktgdp._arrays import common_exponent
from sktgdp.preprocessing._checks import Signals, SignalTransformer, as_signals, check_rows

__all__ = ["INDEPENDENT_LEADS", "STANDARD_LEADS", "LeadReducer", "lead_positions", "limb_gains"]

Floats = NDArray[np.float64]

STANDARD_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
INDEPENDENT_LEADS = ("I", "V1", "V2", "V3", "V4", "V5", "V6", "aVF")
LIMB_LEADS = STANDARD_LEADS[:6]
DERIVED_LEADS = ("II", "III", "aVR", "aVL")
FROM_I_AND_AVF = np.array([[0.5, 1.0], [-0.5, 1.0], [-0.75, -0.5], [0.75, -0.5]])
# What the laws say is zero, one row for each derived lead, in terms of the six limb leads
LAWS = np.zeros((4, 6))
LAWS[range(4), [LIMB_LEADS.index(lead) for lead in DERIVED_LEADS]] = 1.0
LAWS[:, [0, 5]] -= FROM_I_AND_AVF


def lead_positions(wanted: Sequence[str], leads: Sequence[str], n_channels: int) -> list[int]:
    """Positions of leads among named channels; case does not matter.

    Raises
    ------
    ValueError
        If a name is missing or comes twice, or there are not as many names as channels.
    """
    if not isinstance(leads, Iterable):
        raise TypeError(f"leads must be the names of the channels, got {leads!r}.")
    names = [str(lead).strip().lower() for lead in leads]
    twice = sorted({str(lead) for lead in leads if names.count(str(lead).strip().lower()) > 1})
    missing = [lead for lead in wanted if lead.lower() not in names]
    if missing or twice:
        fault = f"lacks {missing}" if missing else f"has {twice} more than once"
        raise ValueError(f"leads={[str(lead) for lead in leads]} {fault}.")
    if len(names) != n_channels:
        raise ValueError(
            f"X has {n_channels} channels, but leads names {len(names)}: {', '.join(map(str, leads))}. Give "
            "signals with these leads, in this order, or the names of the channels as `leads`."
        )
    return [names.index(lead.lower()) for lead in wanted]


class LeadReducer(SignalTransformer):
    r"""Twelve leads as the eight independent ones, I, V1 to V6, aVF; and all twelve back.

    Parameters
    ----------
    leads : sequence of str, default=STANDARD_LEADS
        Names of the input's twelve channels, in their order: by default I, II, III, aVR, aVL, aVF, V1 to
        V6. Case does not matter.
    tolerance : float, default=0.1
        How far recorded leads may lie from those derived before `transform` warns, as a share of the root
        mean square of the six limb leads.

    Attributes
    ----------
    residual_ : dict of str to float
        For II, III, aVR and aVL of the fitted signals: root mean square of recorded minus derived lead, as
        a share of that of the six limb leads.
    n_features_in_ : int
        12.

    Notes
    -----
    ``inverse_transform`` gives leads that obey the laws in the module's equations to rounding. Recorded ones
    obey them but for rounding (below 0.03 in most devices), unless leads were scaled or filtered each in its
    own way, swapped, or lost; `residuals` shows where. Linear steps that treat all leads alike, such as
    `BandPass` and `Resampler`, keep the laws. The density is per unit of the eight leads, which determine the
    others, so the Jacobian counts as 1.

    Examples
    --------
    >>> import numpy as np
    >>> reducer = LeadReducer().fit(np.zeros((1, 12, 100)))
    >>> ecg = reducer.inverse_transform(np.ones((1, 8, 100)))
    >>> ecg[0, :6, 0].tolist()
    [1.0, 1.5, 0.5, -1.25, 0.25, 1.0]
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "leads": ["array-like", tuple],
        "tolerance": [Interval(Real, 0, None, closed="left")],
    }

    residual_: dict[str, float]

    def __init__(self, leads: Sequence[str] = STANDARD_LEADS, tolerance: float = 0.1) -> None:
        self.leads = leads
        self.tolerance = tolerance

    def residuals(self, X: ArrayLike) -> Floats:
        """Measure how far each record is from the laws.

        Parameters
        ----------
        X : array-like of shape (n, 12, length)

        Returns
        -------
        ndarray of shape (n, 4)
            For II, III, aVR and aVL: root mean square of recorded minus derived lead, as a share of the
            root mean square of the record's six limb leads; 0 where these are 0.
        """
        signals = as_signals(check_rows(X))
        violation, size, _ = _powers(signals, self._positions(signals, LIMB_LEADS))
        return _shares(violation, size)

    def _learn(self, signals: Signals) -> None:
        limbs = self._positions(signals, LIMB_LEADS)
        violation, size, exponents = _powers(signals, limbs)
        exponents = np.where(size > 0, exponents, exponents.min())
        weights = np.ldexp(1.0, 2 * (exponents - exponents.max()))  # to one unit for all records
        pooled = _shares(weights @ violation, weights @ size)
        self.residual_ = dict(zip(DERIVED_LEADS, pooled.tolist(), strict=True))
        if pooled.max() > self.tolerance:
            self._refuse_other_order(np.tensordot(weights, _moments(signals, limbs), 1))

    def _refuse_other_order(self, moments: Floats) -> None:
        """Raise where the limb leads obey the laws in another order than the one they are said to have."""
        orders = np.array(list(permutations(range(6))))
        permuted = moments[orders[:, :, None], orders[:, None, :]]
        violation = np.einsum("ki,pij,kj->pk", LAWS, permuted, LAWS)
        shares = _shares(violation, np.full(len(orders), np.trace(moments) / 6)).max(axis=1)
        best = int(shares.argmin())
        if shares[best] <= min(self.tolerance, 0.2 * shares[0]):
            channels = self._positions(np.empty((1, 12, 1)), LIMB_LEADS)
            said, found = dict(zip(channels, LIMB_LEADS, strict=True)), {}
            for lead, place in zip(LIMB_LEADS, orders[best], strict=True):
                found[channels[place]] = lead
            said_so, found_so = (", ".join(names[at] for at in sorted(names)) for names in (said, found))
            raise ValueError(
                f"The limb leads are said to be {said_so}, but obey Einthoven's and Goldberger's laws as "
                f"{found_so}. Give the order of the channels as `leads`."
            )

    def _forward(self, signals: Signals) -> Signals:
        shares = self.residuals(signals)
        far = np.flatnonzero(shares.max(axis=1) > self.tolerance)
        if len(far):
            worst = int(shares.max(axis=1).argmax())
            lead = DERIVED_LEADS[int(shares[worst].argmax())]
            order = ", ".join(map(str, self.leads))
            warnings.warn(
                f"{len(far)} of {len(signals)} records violate Einthoven's or Goldberger's laws by more than "
                f"tolerance={self.tolerance}; {lead} of record {worst} is worst, by {shares[worst].max():.2f}"
                " of the limb leads' root mean square. What is derived will not be what was recorded. Are "
                f"leads missing, scaled each for itself, or in another order than {order}?",
                UserWarning,
                stacklevel=4,
            )
        return signals[:, self._positions(signals, INDEPENDENT_LEADS)]

    def inverse_transform(self, X: ArrayLike) -> Signals:
        """Derive twelve leads from eight.

        Parameters
        ----------
        X : array-like of shape (n, 8, length)
            I, V1 to V6, aVF.

        Returns
        -------
        ndarray of shape (n, 12, length)
            In the order of ``leads``.

        Raises
        ------
        ValueError
            If there are not eight leads.
        """
        check_is_fitted(self)
        eight = as_signals(check_rows(X))
        if eight.shape[1] != 8:
            raise ValueError(
                f"X has {eight.shape[1]} channels; expected the 8 leads {', '.join(INDEPENDENT_LEADS)}."
            )
        with np.errstate(over="ignore"):
            derived = np.einsum("ki,nit->nkt", FROM_I_AND_AVF, eight[:, [0, 7]])
        twelve = np.empty((len(eight), 12, eight.shape[2]), dtype=eight.dtype)
        twelve[:, self._positions(twelve, INDEPENDENT_LEADS)] = eight
        twelve[:, self._positions(twelve, DERIVED_LEADS)] = derived
        return self._checked(twelve, eight)

    def log_abs_det_jacobian(self, event_shape: tuple[int, ...]) -> float:
        """Logarithm of ``|det dz/dx|`` with respect to the eight leads: 0."""
        return 0.0

    def _positions(self, signals: Signals, wanted: Sequence[str]) -> list[int]:
        lead_positions(STANDARD_LEADS, self.leads, signals.shape[1])  # raises where one is missing
        return lead_positions(wanted, self.leads, signals.shape[1])


def _limbs(signals: Signals, limbs: Sequence[int]) -> Iterator[tuple[Floats, int]]:
    """The limb leads of each record in units of a power of two, in which squares are safe; and the power."""
    for record in signals:
        leads = record[list(limbs)].astype(np.float64)
        exponent = common_exponent(leads)
        yield np.ldexp(leads, -exponent), exponent


def _moments(signals: Signals, limbs: Sequence[int]) -> Floats:
    """Second moments of the limb leads, shape (n, 6, 6), each record's in its own unit."""
    return np.stack([leads @ leads.T / leads.shape[1] for leads, _ in _limbs(signals, limbs)])


def _powers(signals: Signals, limbs: Sequence[int]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Mean squares of the laws' violations, shape (n, 4), and of the limb leads, (n,); their units, (n,)."""
    violation, size = np.empty((len(signals), 4)), np.empty(len(signals))
    exponents = np.zeros(len(signals), dtype=np.int64)
    for number, (leads, exponent) in enumerate(_limbs(signals, limbs)):
        violation[number], size[number] = np.square(LAWS @ leads).mean(axis=1), np.square(leads).mean()
        exponents[number] = exponent
    return violation, size, exponents


def _shares(violation: Floats, power: Floats) -> Floats:
    """Roots of mean squares (..., 4) over those of the limb leads (...), 0 where these are 0."""
    power = np.asarray(power)[..., None]
    share = np.divide(violation, power, out=np.zeros_like(violation), where=power > 0)
    return np.sqrt(np.maximum(share, 0.0))  # by way of moments, rounding may end below 0


def limb_gains(X: ArrayLike, leads: Sequence[str] = STANDARD_LEADS) -> Floats:
    r"""Gains of the limb leads with which Einthoven's and Goldberger's laws hold, for each record.

    Where every lead was scaled for itself, the laws, as a matrix L, tell the gains of the limb leads but for
    a common factor: those g that minimise :math:`\sum_k |\sum_i L_{ki} g_i x_i|^2`, for x of size 1. In the
    standard order ``X[:, :6] * limb_gains(X)[:, :, None]`` obeys them.

    Parameters
    ----------
    X : array-like of shape (n, 12, length)
    leads : sequence of str, default=STANDARD_LEADS
        Names of the channels.

    Returns
    -------
    ndarray of shape (n, 6)
        For I, II, III, aVR, aVL, aVF, with geometric mean 1.

    Raises
    ------
    ValueError
        If a limb lead of a record is flat, or no positive gains come near the laws; the record is named.
    """
    signals = as_signals(check_rows(X))
    moments = _moments(signals, lead_positions(LIMB_LEADS, leads, signals.shape[1]))
    sizes = np.sqrt(np.diagonal(moments, axis1=1, axis2=2))
    flat = np.flatnonzero((sizes == 0).any(axis=1))
    if len(flat):
        raise ValueError(f"Record {flat[0]} has a limb lead that is flat: its gain cannot be told.")
    # leads of size 1, lest a small one takes all the gain
    unit = moments / (sizes[:, :, None] * sizes[:, None, :])
    _, vectors = np.linalg.eigh((LAWS.T @ LAWS) * unit)
    gains = vectors[:, :, 0] * np.sign(vectors[:, :1, 0]) / sizes
    wrong = np.flatnonzero((gains <= 0).any(axis=1))
    if len(wrong):
        raise ValueError(
            f"Record {wrong[0]} obeys the laws with no positive gains. Are its leads in the order "
            f"{', '.join(map(str, leads))}?"
        )
    return gains / np.exp(np.log(gains).mean(axis=1, keepdims=True))
