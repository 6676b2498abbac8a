"""Models that released versions saved load, and give what they gave then."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import sktgdp

FIXTURES = Path(__file__).parents[1] / "fixtures"
SAVED = sorted(FIXTURES.glob("saved_*.zip"))


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_models_of_released_versions(path: Path) -> None:
    specification = importlib.util.spec_from_file_location("make_saved", FIXTURES / "make_saved_models.py")
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    again = script.drawn(sktgdp.load(path, device="cpu"))
    expected = json.loads(path.with_suffix(".json").read_text())
    assert list(again) == list(expected)
    for name, column in expected.items():
        if isinstance(column[0], str):
            assert again[name] == column
        else:  # other builds of torch may round otherwise
            np.testing.assert_allclose(again[name], column, rtol=1e-3, atol=1e-4)


def test_this_version_has_its_files() -> None:
    names = {path.stem for path in SAVED}
    assert {f"saved_{sktgdp.__version__}_{kind}" for kind in ("table", "frame")} <= names
    assert all(path.stat().st_size < 100_000 for path in SAVED)
