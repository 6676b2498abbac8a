"""Multi-label indicators of one set of labels as those of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_array

from sktgdp._arrays import refuse_times

__all__ = ["LabelMapper"]


class LabelMapper(BaseEstimator):
    """Rename, merge, reorder and leave out the columns of a multi-label indicator.

    A target label is set where any of the source labels that go to it is.

    Parameters
    ----------
    source : sequence of str
        Names of the columns that come in, such as the 71 statements of PTB-XL.
    target : sequence of str
        Names of the columns that go out, such as the nine classes of ICBEB2018.
    mapping : mapping of str to str or None, optional
        Target label of a source label, None to leave it out. Source labels that are not listed go to the
        target label of the same name.
    unmapped : {"drop", "error"}, default="drop"
        What to do with source labels that go nowhere and are not left out by name.

    Examples
    --------
    >>> mapper = LabelMapper(["CLBBB", "ILBBB", "NORM"], ["NORM", "LBBB"], {"CLBBB": "LBBB", "ILBBB": "LBBB"})
    >>> mapper.transform([[1, 0, 0], [0, 0, 1], [1, 1, 0]]).tolist()
    [[0, 1], [1, 0], [0, 1]]
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "source": ["array-like", tuple],
        "target": ["array-like", tuple],
        "mapping": [Mapping, None],
        "unmapped": [StrOptions({"drop", "error"})],
    }

    def __init__(
        self,
        source: Sequence[str],
        target: Sequence[str],
        mapping: Mapping[str, str | None] | None = None,
        unmapped: str = "drop",
    ) -> None:
        self.source = source
        self.target = target
        self.mapping = mapping
        self.unmapped = unmapped

    @property
    def dropped(self) -> list[str]:
        """Source labels that go to no target label."""
        return [label for label, to in self._targets().items() if to is None]

    @property
    def without_source(self) -> list[str]:
        """Target labels that no source label goes to: their columns are 0."""
        reached = set(self._targets().values())
        return [str(label) for label in self.target if str(label) not in reached]

    def transform(self, Y: ArrayLike) -> NDArray[Any]:
        """Map the columns of an indicator.

        Parameters
        ----------
        Y : array-like of shape (n, len(source))
            Zeros and ones.

        Returns
        -------
        ndarray of shape (n, len(target))
            In the dtype of ``Y``.

        Raises
        ------
        ValueError
            If ``Y`` has another number of columns or other values, a name comes twice, or the mapping names
            a label that is not there.
        """
        self._validate_params()
        targets = self._targets()
        refuse_times(Y, "Y")
        values = check_array(Y, dtype="numeric", input_name="Y")
        if values.shape[1] != len(targets):
            raise ValueError(f"Y has {values.shape[1]} columns; source names {len(targets)} labels.")
        if not np.isin(values, (0, 1)).all():
            raise ValueError("Y holds values other than 0 and 1; expected a multi-label indicator.")
        names = [str(label) for label in self.target]
        goes_to = np.array([[to == name for name in names] for to in targets.values()])
        return (values.astype(np.int64) @ goes_to > 0).astype(values.dtype)

    def _targets(self) -> dict[str, str | None]:
        """Target of each source label, in the order of the columns."""
        source, target = ([str(label) for label in labels] for labels in (self.source, self.target))
        for name, labels in (("source", source), ("target", target)):
            if len(set(labels)) < len(labels):
                raise ValueError(f"{name} has a label more than once: {labels}.")
        mapping = dict(self.mapping or {})
        unknown = [label for label in mapping if label not in source]
        unknown += [to for to in mapping.values() if to is not None and to not in target]
        if unknown:
            raise ValueError(f"mapping names labels that are in neither source nor target: {unknown}.")
        lost = [label for label in source if label not in mapping and label not in target]
        if lost and self.unmapped == "error":
            raise ValueError(f"Source labels go nowhere: {lost}. Map them, to None to leave them out.")
        return {label: mapping.get(label, label if label in target else None) for label in source}
