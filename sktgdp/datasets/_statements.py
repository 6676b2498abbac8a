"""ECG labels: SNOMED CT codes of the PhysioNet challenges, SCP statements of PTB-XL, classes of ICBEB2018."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ICBEB_CLASSES", "frequent", "indicator", "snomed_to_icbeb", "snomed_to_scp", "warn_of_empty"]

ICBEB_CLASSES = ("NORM", "AFIB", "1AVB", "CLBBB", "CRBBB", "PAC", "VPC", "STD_", "STE_")

# One statement for each code: the one for which PTB-XL's records bear the code in the challenge of 2021, and
# the one of its meaning where they do not bear it, or bear it for several statements. Codes that are wider
# than any one statement (164865005 myocardial infarction, 428750005 nonspecific ST-T abnormality) have none.
_SCP = {
    "10370003": "PACE",
    "11157007": "BIGU",
    "17338001": "PVC",
    "27885002": "3AVB",
    "54329005": "AMI",
    "55930002": "NST_",
    "59118001": "CRBBB",
    "59931005": "INVT",
    "63593006": "SVARR",
    "67198005": "PSVT",
    "74390002": "WPW",
    "89792004": "RVH",
    "111975006": "LNGQT",
    "164861001": "ISC_",
    "164873001": "LVH",
    "164884008": "PVC",
    "164889003": "AFIB",
    "164890007": "AFLT",
    "164909002": "CLBBB",
    "164917005": "QWAVE",
    "164931005": "STE_",
    "164934002": "TAB_",
    "164947007": "LPR",
    "164951009": "ABQRS",
    "195042002": "2AVB",
    "251120003": "ILBBB",
    "251146004": "LVOLT",
    "251180001": "TRIGU",
    "270492004": "1AVB",
    "284470004": "PAC",
    "425419005": "ISCIN",
    "425623009": "ISCLA",
    "426177001": "SBRAD",
    "426434006": "ISCAN",
    "426761007": "SVTAC",
    "426783006": "SR",
    "427084000": "STACH",
    "427172004": "PVC",
    "427393009": "SARRH",
    "429622005": "STD_",
    "445118002": "LAFB",
    "445211001": "LPFB",
    "446358003": "RAO/RAE",
    "67741000119109": "LAO/LAE",
    "698252002": "IVCD",
    "713426002": "IRBBB",
    "713427006": "CRBBB",
    "733534002": "CLBBB",
}

# CPSC2018 codes its class "normal" as sinus rhythm. The challenge scores the codes of a class here as one.
_ICBEB = {
    "426783006": "NORM",
    "164889003": "AFIB",
    "270492004": "1AVB",
    **dict.fromkeys(["164909002", "733534002"], "CLBBB"),
    **dict.fromkeys(["59118001", "713427006"], "CRBBB"),
    **dict.fromkeys(["284470004", "63593006"], "PAC"),
    **dict.fromkeys(["164884008", "17338001", "427172004"], "VPC"),
    "429622005": "STD_",
    "164931005": "STE_",
}


def snomed_to_scp(code: str | int) -> str | None:
    """Give the SCP statement of PTB-XL for a SNOMED CT code of the PhysioNet challenges, None if it has none.

    Parameters
    ----------
    code : str or int
        For instance 164889003, atrial fibrillation.

    Returns
    -------
    str or None
        For instance "AFIB". Sinus rhythm, 426783006, is "SR"; ICBEB2018 has it for normal records ("NORM").

    References
    ----------
    Reyna et al. (2021), Will two do? Varying dimensions in electrocardiography: the PhysioNet/Computing in
    Cardiology Challenge 2021. Wagner et al. (2020), PTB-XL, Scientific Data 7, 154.
    """
    return _SCP.get(str(code).strip())


def snomed_to_icbeb(code: str | int) -> str | None:
    """Give the class of ICBEB2018 for a SNOMED CT code, None if it is none of the nine."""
    return _ICBEB.get(str(code).strip())


def frequent(labels: Iterable[Iterable[str]], min_count: int) -> list[str]:
    """The labels that at least so many rows have, in alphabetical order."""
    counts = Counter(label for has in labels for label in set(has))
    return sorted(label for label, n in counts.items() if n >= min_count)


def indicator(labels: Sequence[Iterable[str]], names: Sequence[str]) -> NDArray[np.int64]:
    """Multi-label indicator (n, k): which of the names each row has; other labels are ignored."""
    column = {name: i for i, name in enumerate(names)}
    Y = np.zeros((len(labels), len(names)), dtype=np.int64)
    for row, has in enumerate(labels):
        Y[row, [column[label] for label in has if label in column]] = 1
    return Y


def warn_of_empty(target: NDArray[np.int64], names: Sequence[Any]) -> None:
    """Warn of labels without a positive row: no score is defined for them."""
    empty = [str(name) for name, n in zip(names, target.sum(0), strict=True) if n == 0]
    if empty:
        message = f"{len(empty)} of {len(names)} labels have no positive row: {', '.join(empty)}"
        warnings.warn(message, UserWarning, stacklevel=4)
