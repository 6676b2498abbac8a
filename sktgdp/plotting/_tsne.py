"""Rows in a plane that keeps neighbours together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from sktgdp.plotting._draws import draw_like, some_rows, take
from sktgdp.plotting._points import SIZE, check_points
from sktgdp.plotting._style import REAL, SYNTHETIC, axes_grid, legend_beside, shorten
from sktgdp.preprocessing._encoding import encode_features

__all__ = ["TSNEDisplay"]

Floats = NDArray[np.float64]

LEAST_RANGE = 1e-10  # rows of no variance stay as they are


def _embedded(rows: NDArray[Any], perplexity: float, random_state: Any) -> NDArray[Any]:
    """Rows on the plane, in standard units before."""
    scaled = StandardScaler().fit_transform(rows)
    if not np.isfinite(scaled).all() or np.ptp(scaled) < LEAST_RANGE:  # scikit-learn's program would crash
        raise ValueError("The rows are all equal, or too large to be told apart: nothing to draw.")
    most = (len(rows) - 1) / 3
    embedding = TSNE(perplexity=min(perplexity, most), init="pca", random_state=random_state)
    points: NDArray[Any] = embedding.fit_transform(scaled)
    return points


class TSNEDisplay:
    """Real rows and those of one or several generators in one t-SNE, a panel for each generator.

    It is recommended to use `from_estimator` or `from_data`.

    Parameters
    ----------
    real : ndarray of shape (n, 2)
    synthetic : dict of str to ndarray of shape (n, 2)
        Points by the name of their panel.
    real_name : str

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_panels,)
    figure_ : Figure

    Notes
    -----
    Without ``features`` numbers are put over their standard deviation and categories become indicators. All
    rows are embedded together, so that panels compare. Neighbourhoods mean something in such a picture;
    distances and sizes of groups mean little. For numbers see `sktgdp.metrics`.

    References
    ----------
    van der Maaten & Hinton, "Visualizing data using t-SNE", 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sktgdp.plotting import TSNEDisplay
    >>> rng = np.random.default_rng(0)
    >>> display = TSNEDisplay.from_data(rng.normal(size=(40, 5)), rng.normal(size=(40, 5)))
    >>> display.real.shape
    (40, 2)
    """

    def __init__(self, real: Floats, synthetic: Mapping[str, Floats], *, real_name: str = "real") -> None:
        if not synthetic:
            raise ValueError("There are no synthetic rows to draw: X_synthetic is empty.")
        self.real, self.real_name = check_points(real, real_name), real_name
        self.synthetic = {str(name): check_points(points, name) for name, points in synthetic.items()}

    @classmethod
    def from_estimator(
        cls, generator: Any, X: Any, *, n_samples: int | None = None, random_state: Any = 0, **options: Any
    ) -> TSNEDisplay:
        """Draw real rows and rows that a fitted generator samples.

        Parameters
        ----------
        generator : fitted generator
        X : DataFrame or array-like of shape (n, d) or (n, channels, length)
        n_samples : int, optional
            Rows to sample; as many as ``X`` has by default, but at least 500.
        random_state : int, RandomState, Generator or None
            Of the sample.
        **options
            As for `from_data`.

        Returns
        -------
        TSNEDisplay
        """
        return cls.from_data(X, draw_like(generator, X, n_samples, random_state)[0], **options)

    @classmethod
    def from_data(
        cls,
        X_real: Any,
        X_synthetic: Any,
        *,
        features: Callable[[Any], Any] | None = None,
        max_rows: int = 400,
        perplexity: float = 30.0,
        random_state: Any = 0,
        real_name: str = "real",
        ax: Any = None,
    ) -> TSNEDisplay:
        """Embed and draw.

        Parameters
        ----------
        X_real : DataFrame or array-like of shape (n, d) or (n, channels, length)
        X_synthetic : the same, or a dict of str to samples
            The rows of each generator, by its name.
        features : callable, optional
            Turns rows into an array (n, k) to embed, such as ``classifier.embed``.
        max_rows : int, default=400
            Rows of each sample at most, drawn at random.
        perplexity : float, default=30
            Lowered where there are few rows.
        random_state, real_name, ax
            See the class and `plot`.

        Returns
        -------
        TSNEDisplay
        """
        parts = dict(X_synthetic) if isinstance(X_synthetic, dict) else {"synthetic": X_synthetic}
        samples = [take(X, some_rows(len(X), max_rows, random_state)) for X in (X_real, *parts.values())]
        rows = encode_features(samples, ["X_real", *map(str, parts)], features)
        points = _embedded(np.concatenate(rows), perplexity, random_state)
        real, *drawn = np.split(points, np.cumsum([len(part) for part in rows])[:-1])
        return cls(real, dict(zip(parts, drawn, strict=True)), real_name=real_name).plot(ax=ax)

    def plot(self, ax: Any = None) -> TSNEDisplay:
        """Draw.

        Parameters
        ----------
        ax : None, Axes or array of Axes
            None makes a figure; single axes are divided among several generators.

        Returns
        -------
        self
        """
        self.axes_ = axes_grid(ax, len(self.synthetic), "TSNEDisplay", panel=(3.7, 3.5), share=True)
        self.figure_ = self.axes_[0].figure
        several = len(self.synthetic) > 1
        common = {"s": SIZE, "alpha": 0.6, "linewidths": 0, "rasterized": True}
        for axes, (name, points) in zip(self.axes_, self.synthetic.items(), strict=True):
            axes.scatter(*self.real.T, label=self.real_name, **common, **REAL)
            axes.scatter(*points.T, label="synthetic" if several else name, **common, **SYNTHETIC)
            axes.set(xticks=(), yticks=(), title=shorten(name, 40) if several else "")
        for handle in legend_beside(self.axes_[-1], markerscale=1.5).legend_handles:
            handle.set_alpha(1.0)
        return self
