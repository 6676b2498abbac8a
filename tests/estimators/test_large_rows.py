"""Rows that are many: held once, in single precision, and on disk where they came from there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import TINY, Shift, tiny_tgdp

from sktgdp import DiffusionGenerator
from sktgdp.estimators._rows import units
from sktgdp.estimators._rows.units import fit_units, is_mapped, to_exact_units, to_units
from sktgdp.estimators._training.batches import Pool
from sktgdp.preprocessing import MixedTypeEncoder, RowStandardizer


@pytest.fixture
def mapped(tmp_path: Path, shift: Shift) -> Any:
    """The source rows in a file, read only."""
    np.save(tmp_path / "rows.npy", shift.X_src)
    return np.load(tmp_path / "rows.npy", mmap_mode="r")


@pytest.mark.parametrize("shape", [(50, 3), (50, 2, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parts_are_the_whole(
    shape: tuple[int, ...], dtype: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = (3.0 + 2.0 * rng.normal(size=shape)).astype(dtype)
    expected = RowStandardizer().fit_transform(X)
    monkeypatch.setattr(units, "PART", 30)
    transformer, z = fit_units("auto", X, "X")
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, expected.astype(np.float32))
    np.testing.assert_array_equal(to_exact_units(transformer, X, "X"), expected)


def test_parts_of_frames(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"a": rng.normal(size=31), "b": [*list("xyz" * 10), "x"]}, index=rng.permutation(31))
    encoder = MixedTypeEncoder().fit(X)
    expected = encoder.transform(X)
    monkeypatch.setattr(units, "PART", 8)
    np.testing.assert_array_equal(to_exact_units(encoder, X, "X"), expected)


@pytest.mark.parametrize("shape", [(70, 3), (70, 2, 5)])
@pytest.mark.parametrize("common_scale", [False, True])
def test_scales_of_parts(
    shape: tuple[int, ...], common_scale: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of single precision, far from zero, in parts: as of double precision at once."""
    X = (1000.0 + rng.normal(size=shape)).astype(np.float32)
    axes = 0 if X.ndim == 2 else (0, 2)
    exact = X.astype(np.float64)
    monkeypatch.setattr("sktgdp.preprocessing._scaling.PART", 40)
    found = RowStandardizer(common_scale=common_scale).fit(X)
    np.testing.assert_allclose(found.mean_.ravel(), exact.mean(axis=axes), rtol=1e-14)
    scale = exact.std(axis=axes)
    scale = np.full_like(scale, np.sqrt(np.mean(scale**2))) if common_scale else scale
    np.testing.assert_allclose(found.scale_.ravel(), scale, rtol=1e-10)


def test_too_large_for_single_precision(rng: np.random.Generator) -> None:
    class Times(RowStandardizer):
        def transform(self, X: Any) -> Any:
            return 1e39 * np.asarray(X)

    with pytest.raises(ValueError, match=r"X is not finite after Times\.transform"):
        to_units(Times().fit(np.eye(3)), np.eye(3), "X")


def test_pools_share_their_rows(shift: Shift, monkeypatch: pytest.MonkeyPatch) -> None:
    """No copy for held-out rows, folds, or the tensors that networks are trained on."""
    pools: list[Pool] = []
    post = Pool.__len__

    def noted(pool: Pool) -> int:
        pools.append(pool)
        return post(pool)

    monkeypatch.setattr(Pool, "__len__", noted)
    tiny_tgdp(early_stopping=True).fit(shift.X_src, None, shift.X_tgt)
    sources = {pool.x0.data_ptr() for pool in pools if len(pool.x0) == len(shift.X_src)}
    # the source model's rows, those of both domains, and those in the domain classifier's own units
    assert len(sources) <= 3
    assert len({id(pool) for pool in pools}) > len(sources)


def test_memory_mapped_rows(
    mapped: Any, shift: Shift, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same model as from an array in memory; the networks' rows are on disk, and leave nothing there."""
    expected = tiny_tgdp().fit(shift.X_src, None, shift.X_tgt).sample(20, random_state=0)[0]
    made: list[Any] = []
    on_disk = units._on_disk
    monkeypatch.setattr(units, "ON_DISK", 0)
    monkeypatch.setattr(units, "_on_disk", lambda shape: made.append(on_disk(shape)) or made[-1])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "room"))
    (tmp_path / "room").mkdir()
    model = tiny_tgdp().fit(mapped, None, shift.X_tgt)
    np.testing.assert_array_equal(model.sample(20, random_state=0)[0], expected)
    assert made
    assert all(is_mapped(z) for z in made)
    assert not list((tmp_path / "room").iterdir())


def test_few_memory_mapped_rows_are_held_in_memory(mapped: Any) -> None:
    assert is_mapped(mapped[:7])
    assert not is_mapped(np.array(mapped))
    assert not is_mapped(fit_units("auto", mapped, "X")[1])


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room cannot be kept free here")
def test_no_room_on_disk(mapped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(units, "ON_DISK", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left .* TMPDIR") as error:
        DiffusionGenerator(**TINY).fit(mapped)
    assert error.value.errno == errno.ENOSPC
