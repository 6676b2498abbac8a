"""A report in any unit that floats can hold; what it cannot say is an error, and no good verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sktgdp.report import QualityReport

RNG = np.random.default_rng(0)
REAL, SYN = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 3)) + 0.5
SERIES = RNG.normal(size=(2, 40, 2, 6))


def report(real: Any, synthetic: Any, **options: Any) -> QualityReport:
    return QualityReport(real, synthetic, **({"n_repeats": 1, "max_rows": 40} | options))


def values(result: QualityReport) -> list[float]:
    return [figure.value for section in result.sections_ for figure in section.figures]


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-700, 2.0**700])
@pytest.mark.parametrize("rows", [(REAL, SYN), SERIES], ids=["table", "series"])
def test_no_figure_has_a_unit(rows: Any, unit: float) -> None:
    """Rows of 1e200 had a standard deviation of infinity, and equalled all others."""
    expected = values(report(*rows))
    assert values(report(unit * rows[0], unit * rows[1])) == expected


def test_features_of_any_unit() -> None:
    found = [values(report(REAL, SYN, features=lambda X, u=unit: u * X)) for unit in (1.0, 2.0**700)]
    assert found[0] == found[1]
    assert max(found[0]) > 0.3


def test_a_row_beyond_comparison_is_named() -> None:
    far = SYN.copy()
    far[0, 1] = 1e200
    with pytest.raises(ValueError, match=r"Column 'x1' lies more than 1e\+30 standard deviations"):
        report(REAL, far)
    with pytest.raises(ValueError, match="Column 'x1' of synthetic holds infinite values"):
        report(REAL, np.where(far > 1e100, np.inf, far))


def test_large_integers_are_not_merged() -> None:
    """Beyond 2**53 floats skip integers."""
    real, syn = 2**62 + np.arange(80).reshape(40, 2), 2**62 + np.arange(80, 160).reshape(40, 2)
    for rows in (
        (real, syn),
        (pd.DataFrame(real, columns=["x0", "x1"]), pd.DataFrame(syn, columns=["x0", "x1"])),
    ):
        with pytest.raises(ValueError, match="Column 'x0' of real holds integers beyond 2"):
            report(*rows)
    assert values(report(real * 2**10 % 2**62, syn * 2**10 % 2**62))
    assert values(report(2.0**62 * REAL, 2.0**62 * SYN))


def test_codes_of_many_digits_are_different_classes() -> None:
    """Two codes that agree in six digits were one class."""
    y = 426783000 + (REAL[:, 0] > 0)
    result = report(REAL, SYN, y_real=y, y_synthetic=y)
    assert [section.name for section in result.sections_] == ["Fidelity", "Diversity", "Utility", "Privacy"]
    assert {figure.key for figure in result.sections_[2].figures} == {"auc_synthetic", "auc_both"}


HIDDEN = np.ma.MaskedArray(REAL, mask=REAL > 1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"real": HIDDEN}, ValueError, "real is a masked array"),
        ({"synthetic": REAL * 1j}, ValueError, "Complex data not supported: synthetic"),
        ({"holdout": HIDDEN}, ValueError, "holdout is a masked array"),
        ({"y_real": HIDDEN[:, 0] > 0}, ValueError, "y_real is a masked array"),
        ({"y_real": np.where(REAL[:, 0] > 0, np.nan, 1.0)}, ValueError, "y_real misses labels"),
        ({"title": None}, TypeError, "title must be text, got None"),
        ({"features": lambda X: X * 1j}, ValueError, r"Complex data not supported: features\("),
        ({"features": lambda X: X[:, : 1 + int(X[0, 0])]}, ValueError, "features must give as many columns"),
    ],
)
def test_what_is_no_sample(options: dict[str, Any], error: type[Exception], message: str) -> None:
    if "y_real" in options:
        options = options | {"y_synthetic": np.ma.getdata(options["y_real"])}
    if "columns" in message:
        options = options | {"real": REAL * 0 + 1, "synthetic": SYN * 0}
    with pytest.raises(error, match=message):
        report(**({"real": REAL, "synthetic": SYN} | options))
