"""Small WFDB records, and folders in the layout of PTB-XL."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from sktgdp.datasets import STANDARD_LEADS

STATEMENTS = """,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass
NORM,normal,1.0,,,NORM,NORM
IMI,inferior infarction,1.0,,,MI,IMI
AMI,anterior infarction,1.0,,,MI,AMI
NDT,T abnormalities,1.0,1.0,,STTC,STTC
SR,sinus rhythm,,,1.0,,
"""


def signals(n: int = 50, leads: int = 12, seed: int = 0) -> np.ndarray:
    """(n_leads, n) in mV, the first value and the spread of each lead its own."""
    rng = np.random.default_rng(seed)
    return 0.1 * np.arange(leads)[:, None] + rng.uniform(-0.5, 0.5, (leads, n))


def write(path: Path, x: np.ndarray, leads: Sequence[str] = STANDARD_LEADS, **options: Any) -> Path:
    """Write a record, by default at 100 Hz in format 16 with a resolution of a microvolt."""
    path.parent.mkdir(parents=True, exist_ok=True)
    k = len(x)
    options = {"fs": 100, "fmt": ["16"] * k, "adc_gain": [1000.0] * k, "baseline": [0] * k, **options}
    units = options.pop("units", ["mV"] * k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how wfdb uses pandas is not looked at here
        wfdb.wrsamp(
            path.name, units=units, sig_name=list(leads), p_signal=x.T, write_dir=str(path.parent), **options
        )
    return path


def edit_header(path: Path, old: str, new: str, count: int = -1) -> None:
    header = path.with_name(path.name + ".hea")
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new, count))


def write_ptbxl(folder: Path, codes: Sequence[str]) -> np.ndarray:
    """PTB-XL with these ``scp_codes``, record i in fold i + 1; its signals."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scp_statements.csv").write_text(STATEMENTS)
    rows = ["ecg_id,patient_id,scp_codes,strat_fold,filename_lr,filename_hr"]
    everything = np.stack([signals(seed=i) for i in range(len(codes))])
    for i, (code, x) in enumerate(zip(codes, everything, strict=True)):
        low, high = f"records100/{i:05d}_lr", f"records500/{i:05d}_hr"
        rows.append(f'{i + 1},{100 + i}.0,"{code}",{i + 1},{low},{high}')
        write(folder / low, x)
        write(folder / high, np.repeat(x, 5, axis=1), fs=500)
    (folder / "ptbxl_database.csv").write_text("\n".join(rows))
    return everything
