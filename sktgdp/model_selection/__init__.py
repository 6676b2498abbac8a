"""Cross-validation over two domains: source rows always train, target rows are held out in turn.

A search of scikit-learn takes one X and one y, so both domains are stacked and marked by ``sample_domain``:
>= 0 for a row of the source, < 0 for a row of the target.

>>> import numpy as np
>>> from sktgdp.model_selection import TargetKFold, pack_domains
>>> X, y, domain = pack_domains(np.zeros((6, 2)), None, np.ones((4, 2)), None)
>>> for train, test in TargetKFold(2, sample_domain=domain, shuffle=False).split(X):
...     print(train, test)
[0 1 2 3 4 5 8 9] [6 7]
[0 1 2 3 4 5 6 7] [8 9]

A search hands ``sample_domain`` to the splitter only where metadata routing is on. Elsewhere give it at
construction too, or as ``groups``. Ask a search for no training scores (``return_train_score=False``, which
is not the default of the halving searches): the rows that it trains on are those of both domains.
"""

from sktgdp.model_selection._packing import pack_domains, unpack_domains
from sktgdp.model_selection._splitters import StratifiedTargetKFold, TargetKFold, TargetShuffleSplit

__all__ = ["StratifiedTargetKFold", "TargetKFold", "TargetShuffleSplit", "pack_domains", "unpack_domains"]
