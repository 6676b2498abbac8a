"""Pictures in the form of scikit-learn's displays; they need matplotlib (``pip install "sktgdp[plot]"``).

========================  ==========================================================================
Question                  Display
========================  ==========================================================================
Has the fit settled?      `HistoryDisplay`: every term of the loss, by phase
Does each column agree?   `MarginalsDisplay`: real against synthetic, numbers and categories
Do the rows agree?        `SampleScatterDisplay`: two columns, or two principal components
Are neighbours alike?     `TSNEDisplay`: rows of several generators in one embedding
How do series look?       `TraceDisplay`: channels below each other, on ECG paper
Do the domains overlap?   `DensityRatioDisplay`: the log ratio at source and target rows, or as a map
How does a sample arise?  `TrajectoryDisplay`: from noise to data through the solver
========================  ==========================================================================

A display is made by ``from_estimator`` or ``from_data`` and has drawn when it returns; ``plot`` draws it
again, elsewhere. Where no axes are given a figure is made, with a legend beside the data. Colours are those
of Okabe and Ito.
"""

from sktgdp.plotting._history import HistoryDisplay
from sktgdp.plotting._marginals import MarginalsDisplay
from sktgdp.plotting._ratio import DensityRatioDisplay
from sktgdp.plotting._scatter import SampleScatterDisplay
from sktgdp.plotting._traces import TraceDisplay
from sktgdp.plotting._trajectory import TrajectoryDisplay
from sktgdp.plotting._tsne import TSNEDisplay

__all__ = [
    "DensityRatioDisplay",
    "HistoryDisplay",
    "MarginalsDisplay",
    "SampleScatterDisplay",
    "TSNEDisplay",
    "TraceDisplay",
    "TrajectoryDisplay",
]
