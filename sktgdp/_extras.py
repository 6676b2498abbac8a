"""Packages that not every user has: imported on use, or an error that names the extra which brings them."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["OPTIONAL", "require"]

# Module: the distribution that holds it, and the extra of this package that asks for it.
OPTIONAL = {
    "accelerate": ("accelerate", "accelerate"),
    "dask": ("dask", "dask"),
    "distributed": ("distributed", "dask"),
    "imblearn": ("imbalanced-learn", "imblearn"),
    "matplotlib": ("matplotlib", "plot"),
    "pandas": ("pandas", "pandas"),
    "pyarrow": ("pyarrow", "pandas"),
    "typer": ("typer", "cli"),
    "wfdb": ("wfdb", "timeseries"),
}


def require(module: str, purpose: str, *, extra: str | None = None) -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        Its full name, such as "matplotlib.pyplot"; the package is one of `OPTIONAL`.
    purpose : str
        What needs it: the start of the error's sentence.
    extra : str, optional
        The extra to name, where it is another than that of `OPTIONAL`.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If the package is not there. One that is there and does not load fails with its own error.
    """
    package = module.partition(".")[0]
    distribution, usual = OPTIONAL[package]
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        message = f'{purpose} needs {distribution}: pip install "sktgdp[{extra or usual}]".'
        raise ImportError(message, name=package) from error
    return importlib.import_module(module)
