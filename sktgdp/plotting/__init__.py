"""Pictures in the form of scikit-learn's displays; they need matplotlib (``pip install "sktgdp[plot]"``).

========================  ==========================================================================
Question                  Display
========================  ==========================================================================
Has the fit settled?      `HistoryDisplay`: every term of the loss, by phase
Does each column agree?   `MarginalsDisplay`: real against synthetic, numbers and categories
Do the rows agree?        `SampleScatterDisplay`: two columns, or two principal components
========================  ==========================================================================

A display is made by ``from_estimator`` or ``from_data`` and has drawn when it returns; ``plot`` draws it
again, elsewhere. Where no axes are given a figure is made, with a legend beside the data. Colours are those
of Okabe and Ito.
"""

from sktgdp.plotting._history import HistoryDisplay
from sktgdp.plotting._marginals import MarginalsDisplay
from sktgdp.plotting._scatter import SampleScatterDisplay

__all__ = ["HistoryDisplay", "MarginalsDisplay", "SampleScatterDisplay"]
