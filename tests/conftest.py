"""What every test shares: the random state, the number of threads, and where the real data lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


def _n_threads() -> int:
    """Threads for torch: OMP_NUM_THREADS, or one; one in each worker of pytest-xdist."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return 1
    wanted = int(os.environ.get("OMP_NUM_THREADS", "1"))
    return max(1, min(wanted, os.cpu_count() or 1))


def pytest_configure(config: pytest.Config) -> None:
    """Fix the number of threads, and draw without a screen."""
    torch.set_num_threads(_n_threads())
    os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as ``data`` whatever asks for the folder of real data; skip ``gpu`` where there is none."""
    no_gpu = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(no_gpu)
        if "data_dir" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.data)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of its own for each test, always in the same state."""
    return np.random.default_rng(0)


@pytest.fixture
def torch_rng() -> torch.Generator:
    """The same for torch: pass it as ``generator=``."""
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; skips the test where there is none."""
    path = Path(os.environ.get("SKTGDP_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"no real data at {path}; set SKTGDP_DATA to the folder that holds them")
    return path


def _global_rng_state() -> tuple[bytes, bytes]:
    _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    numpy_state = np.asarray(keys).tobytes() + repr((position, has_gauss, gauss)).encode()
    return numpy_state, torch.get_rng_state().numpy().tobytes()


@pytest.fixture(autouse=True)
def _same_global_rng() -> None:
    """Start every test from the same global random states, so that order never matters."""
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)


@pytest.fixture
def global_rng_untouched() -> Iterator[None]:
    """Fail a test that moved numpy's or torch's global random state.

    For tests of the package's promise to leave them alone:
    ``@pytest.mark.usefixtures("global_rng_untouched")``. Not for all tests: a test may well draw its
    own inputs from the global state.
    """
    before = _global_rng_state()
    yield
    after = _global_rng_state()
    moved = [name for name, a, b in zip(("numpy", "torch"), before, after, strict=True) if a != b]
    assert not moved, f"the global random state was moved: {', '.join(moved)}"
