"""Paths that are no place for what is to be kept: a named error, and nothing changed on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import TINY_NETWORK

import sktgdp
from sktgdp import DiffusionGenerator
from sktgdp.exceptions import CheckpointError, ModelFileError

ROWS = np.random.default_rng(0).normal(size=(40, 3))


@pytest.fixture(scope="module")
def model() -> DiffusionGenerator:
    return DiffusionGenerator(**TINY_NETWORK).fit(ROWS)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a file, two links to nothing, and a folder of photos."""
    (tmp_path / "file").write_bytes(b"mine")
    for name in ("link", "link.zip"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"meow")
    return tmp_path


SAVING = {
    "file": "it is a file, for which a model needs a name in .zip",
    "photos": r"model\.json is missing\); it is left as it is",
    "link": "is a link to what does not exist",
    "link.zip": "is a link to what does not exist",
    "file/model": "file is a file, so .*model cannot be made",
}


@pytest.mark.parametrize("name", SAVING)
def test_saving(name: str, model: DiffusionGenerator, place: Path) -> None:
    before = sorted(place.rglob("*"))
    with pytest.raises(ModelFileError, match=SAVING[name]):
        model.save(place / name)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("path", ["", 3, None, b"model"])
def test_no_paths(path: Any, model: DiffusionGenerator) -> None:
    for act in (model.save, sktgdp.load):
        with pytest.raises(TypeError, match="path must be the name of a folder, or of a file that ends in"):
            act(path)


def test_loading_what_is_no_model(place: Path) -> None:
    with pytest.raises(ModelFileError, match=r"photos: model\.json is missing"):
        sktgdp.load(place / "photos")


@pytest.mark.parametrize("trusted", [3, None, "MyNet", [3], DiffusionGenerator(), [DiffusionGenerator()]])
def test_trusted_that_are_no_classes(trusted: Any, model: DiffusionGenerator, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    with pytest.raises(TypeError, match="trusted must be a list of classes and functions themselves; got"):
        sktgdp.load(tmp_path / "model", trusted=trusted)


KEEPING = {
    "": "is an empty path. Give the path of a folder, or None",
    "file": "must be a folder, or a path for a new one; .*file is a file",
    "file/new": "must be a folder, or a path for a new one; .*file is a file",
    "link": "must be a folder, or a path for a new one; .*link is a link to what does not exist",
}


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("argument", ["memory", "checkpoint"])
def test_folders_of_fits(argument: str, name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place / "photos")
    before = sorted(place.rglob("*"))
    path = place / name if name else ""
    fit = (
        DiffusionGenerator(**TINY_NETWORK, memory=path).fit
        if argument == "memory"
        else lambda X: DiffusionGenerator(**TINY_NETWORK).fit(X, checkpoint=path)
    )
    error = CheckpointError if argument == "checkpoint" else ValueError
    with pytest.raises(error, match=f"{argument} {KEEPING[name]}"):
        fit(ROWS)
    assert sorted(place.rglob("*")) == before
