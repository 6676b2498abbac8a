"""Fits that are kept on disk, so that a search does not repeat what its parameters leave as it was.

A kept fit is found by the content of everything that it depends on: data, parameters, seed, device and the
versions of sktgdp and torch. What merely watches a fit (``verbose``, ``callbacks``) does not count. One
process at a time fits what is missing; the others wait for it and read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from filelock import FileLock
from sklearn.utils.validation import check_memory

from sktgdp import __version__
from sktgdp.estimators._state.digest import digest
from sktgdp.estimators._state.files import checked_folder

__all__ = ["FitMemory", "draw_seed", "settings_of"]

T = TypeVar("T")
NOT_PART_OF_A_FIT = ("memory", "verbose", "callbacks", "warm_start", "max_memorization")


def draw_seed(random_state: Any) -> int:
    """Turn any ``random_state`` into an integer; None takes fresh entropy, never numpy's global state."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0]) // 2
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if whole and 0 <= int(random_state) < 2**32:
        return int(random_state) % (2**32 - 1024)  # room for the seeds counted up from it
    raise ValueError(
        "random_state must be None, an integer in [0, 2**32), a numpy Generator or RandomState; "
        f"got {random_state!r}."
    )


def settings_of(estimator: Any) -> dict[str, Any]:
    """Parameters of an estimator, nested ones too, that its fit depends on."""
    params = estimator.get_params(deep=True)
    return {k: v for k, v in params.items() if k.split("__")[-1] not in NOT_PART_OF_A_FIT}


def _compute(name: str, key: str, compute: Callable[[], T]) -> T:
    return compute()


class FitMemory:
    """Where fits are kept.

    Parameters
    ----------
    memory : str, joblib.Memory or None
        A folder, or a `joblib.Memory`; None keeps nothing.
    """

    def __init__(self, memory: Any) -> None:
        if isinstance(memory, str | Path):
            memory = str(checked_folder(memory, "memory"))
        self.store = check_memory(memory)
        self.location = getattr(self.store, "location", None)

    def seed(self, random_state: Any) -> int:
        """Seed of a fit; with a folder, None stands for one that is drawn once and kept there."""
        if random_state is None:
            return self.fit("seed", {}, lambda: draw_seed(None))
        return draw_seed(random_state)

    def fit(self, name: str, depends_on: Mapping[str, Any], compute: Callable[[], T]) -> T:
        """The kept result of a fit, computed if there is none.

        Parameters
        ----------
        name : str
            What is fitted.
        depends_on : mapping of str to values
            Everything that the result depends on.
        compute : callable
            Does the fit.
        """
        if self.location is None:
            return compute()
        key = digest({**depends_on, " versions": (__version__, torch.__version__)})
        locks = Path(self.location) / "sktgdp-locks"
        locks.mkdir(parents=True, exist_ok=True)
        cached = self.store.cache(_compute, ignore=["compute"])
        with FileLock(locks / f"{key}.lock"):
            result: T = cached(name, key, compute)
            if cached.check_call_in_cache(name, key, compute):  # not where the disk was full
                _remove_half_written(cached.call_and_shelve(name, key, compute))
        return result


def _remove_half_written(kept: Any) -> None:
    """Remove what killed processes were writing beside a result; joblib writes under other names first."""
    folder = Path(kept.store_backend.location, kept.func_id, kept.args_id)
    for path in folder.glob("*.*.*"):  # output.pkl and metadata.json, with an ending of the process
        path.unlink(missing_ok=True)
    # other results' processes share the function's code, and may be writing it now
    for path in folder.parent.glob("func_code.py.*"):
        if _writer_has_ended(path.name):
            path.unlink(missing_ok=True)


def _writer_has_ended(name: str) -> bool:
    """Whether no process of this machine has the number in the name of a file that joblib was writing."""
    found = re.search(r"\.[0-9a-f]{32}-(\d+)-\d+$|-pid-(\d+)$", name)
    if found is None or os.name != "posix":  # elsewhere to ask for a process would be to end it
        return False
    try:
        os.kill(int(found[1] or found[2]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False
