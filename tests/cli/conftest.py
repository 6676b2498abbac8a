"""Two small tables, and a model that was fitted on them by the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from workplace import Workplace, people

from sktgdp.cli import main


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Workplace:
    people(60, 0).to_csv(tmp_path / "source.csv", index=False)
    people(20, 1, shift=5.0).to_csv(tmp_path / "target.csv", index=False)
    return Workplace(tmp_path, capsys)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a fitted model; one gradient step is enough here."""
    folder = tmp_path_factory.mktemp("modèle")
    people(60, 0).to_csv(folder / "source.csv", index=False)
    people(20, 1, shift=5.0).to_csv(folder / "target.csv", index=False)
    files = [str(folder / name) for name in ("source.csv", "target.csv")]
    assert main(["fit", *files, "--label", "sick", "--model", str(folder / "m"), "--max-steps", "1"]) == 0
    return str(folder / "m")
