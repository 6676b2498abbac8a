"""Samples as points of a plane."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.utils import check_consistent_length

from sktgdp._arrays import refuse_hidden
from sktgdp.plotting._draws import draw_like, some_rows, take
from sktgdp.plotting._points import Points, check_points, draw_points
from sktgdp.preprocessing._encoding import encode_together

__all__ = ["SampleScatterDisplay"]

Floats = NDArray[np.float64]


class SampleScatterDisplay:
    """Real and synthetic rows as points: of two columns, or of two principal components.

    It is recommended to use `from_estimator` or `from_data`.

    Parameters
    ----------
    real, synthetic : ndarray of shape (n, 2)
    labels : tuple of two sequences of str, or None
        Class of each real and each synthetic point.
    axis_names : (str, str)
        Labels of the axes.
    names : (str, str)
        Names of the samples.

    Attributes
    ----------
    axes_ : ndarray of Axes
        One, with both samples, or two with one sample each where there are labels.
    figure_ : Figure
    explained_variance_ratio_ : ndarray of shape (2,), or None
        Share of the real rows' variance that the components hold.

    Notes
    -----
    Principal components are those of the real rows, numbers over their standard deviation and categories as
    indicators.

    Examples
    --------
    >>> import numpy as np
    >>> from sktgdp.plotting import SampleScatterDisplay
    >>> rng = np.random.default_rng(0)
    >>> display = SampleScatterDisplay.from_data(rng.normal(size=(200, 2)), rng.normal(size=(300, 2)))
    >>> display.axes_[0].get_xlabel()
    'x0'
    """

    explained_variance_ratio_: Floats | None = None

    def __init__(
        self,
        real: Floats,
        synthetic: Floats,
        *,
        labels: tuple[Sequence[str], Sequence[str]] | None = None,
        axis_names: tuple[str, str] = ("x0", "x1"),
        names: tuple[str, str] = ("real", "synthetic"),
    ) -> None:
        self.real, self.synthetic = (
            check_points(part, name) for part, name in zip((real, synthetic), names, strict=True)
        )
        self.labels = labels
        self.axis_names, self.names = axis_names, names

    @classmethod
    def from_estimator(
        cls,
        generator: Any,
        X: Any,
        y: Any = None,
        *,
        n_samples: int | None = None,
        random_state: Any = 0,
        **options: Any,
    ) -> SampleScatterDisplay:
        """Draw real rows beside rows that a fitted generator samples.

        Parameters
        ----------
        generator : fitted generator
        X : DataFrame or array-like of shape (n, d) or (n, channels, length)
        y : array-like of n labels, optional
            Colours the classes, if the generator was fitted with labels.
        n_samples : int, optional
            Rows to sample; as many as ``X`` has by default, but at least 500.
        random_state : int, RandomState, Generator or None
        **options
            As for `from_data`.

        Returns
        -------
        SampleScatterDisplay
        """
        X_syn, y_syn = draw_like(generator, X, n_samples, random_state)
        if y is not None and y_syn is None:
            raise ValueError("y was given, but the generator was fitted without labels.")
        return cls.from_data(X, X_syn, y_real=y, y_synthetic=None if y is None else y_syn, **options)

    @classmethod
    def from_data(
        cls,
        X_real: Any,
        X_synthetic: Any,
        *,
        y_real: Any = None,
        y_synthetic: Any = None,
        features: tuple[Hashable, Hashable] | None = None,
        max_rows: int = 1000,
        random_state: Any = 0,
        names: tuple[str, str] = ("real", "synthetic"),
        ax: Any = None,
    ) -> SampleScatterDisplay:
        """Draw two samples of the same columns.

        Parameters
        ----------
        X_real, X_synthetic : DataFrame or array-like of shape (n, d) or (n, channels, length)
        y_real, y_synthetic : array-like, optional
            Both or none: classes, or a multi-label indicator whose rows are then the classes.
        features : two names or positions of columns of numbers, optional
            By default the columns where there are two, else two principal components of the real rows.
        max_rows, random_state
            Points per sample at most, drawn at random.
        names, ax
            See the class and `plot`.

        Returns
        -------
        SampleScatterDisplay
        """
        check_consistent_length(X_real, y_real)
        check_consistent_length(X_synthetic, y_synthetic)
        places = [some_rows(len(X), max_rows, random_state) for X in (X_real, X_synthetic)]
        labels = _labels((y_real, y_synthetic), places)
        samples = [take(X, at) for X, at in zip((X_real, X_synthetic), places, strict=True)]
        points, axis_names, ratio = _plane(samples, features)
        display = cls(*points, labels=labels, axis_names=axis_names, names=names)
        display.explained_variance_ratio_ = ratio
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> SampleScatterDisplay:
        """Draw.

        Parameters
        ----------
        ax : None, Axes or array of Axes
            None makes a figure; single axes hold both samples, or are divided where there are labels.

        Returns
        -------
        self
        """
        samples = [Points(self.names[0], self.real), Points(self.names[1], self.synthetic)]
        self.axes_ = draw_points(samples, self.labels, ax, "SampleScatterDisplay")
        self.figure_ = self.axes_[0].figure
        for axes in self.axes_:
            axes.set_xlabel(self.axis_names[0])
        self.axes_[0].set_ylabel(self.axis_names[1])
        return self


def _labels(ys: tuple[Any, Any], places: Sequence[Any]) -> tuple[list[str], list[str]] | None:
    """Classes of the rows at these places, if both samples have labels."""
    if (ys[0] is None) != (ys[1] is None):
        raise ValueError("Give y_real and y_synthetic, or neither of them.")
    if ys[0] is None:
        return None
    return class_names(take(ys[0], places[0])), class_names(take(ys[1], places[1]))


def class_names(y: Any) -> list[str]:
    """Class of each row as text; of a multi-label indicator the positions of its ones."""
    refuse_hidden(y, "y")
    labels = np.asarray(y)
    if labels.ndim == 1:
        return [str(label) for label in labels.tolist()]
    return ["+".join(map(str, np.flatnonzero(row == 1))) or "none" for row in labels]


def _plane(
    samples: Sequence[Any], features: tuple[Hashable, Hashable] | None
) -> tuple[tuple[Floats, Floats], tuple[str, str], Floats | None]:
    """Points of both samples, names of the axes, and the share of variance of principal components."""
    encoded = encode_together(samples, ("X_real", "X_synthetic"))
    if features is None and len(encoded.columns) == 2 and encoded.all_numbers:
        features = (encoded.columns[0].name, encoded.columns[1].name)
    if features is not None:
        if len(features) != 2:
            raise ValueError(f"features must be two columns, got {features!r}.")
        chosen = [encoded.number(feature) for feature in features]
        points = [np.stack([column.values[k] for column in chosen], axis=1) for k in range(2)]
        return (points[0], points[1]), (chosen[0].name, chosen[1].name), None
    real, synthetic = encoded.rows
    if real.shape[1] < 2 or len(real) < 2:
        raise ValueError(f"A plane needs two columns and two real rows; X_real has shape {real.shape}.")
    pca = PCA(2, random_state=0).fit(real)
    ratio = pca.explained_variance_ratio_
    names = tuple(f"principal component {k + 1} ({share:.0%} of variance)" for k, share in enumerate(ratio))
    return (pca.transform(real), pca.transform(synthetic)), (names[0], names[1]), ratio
