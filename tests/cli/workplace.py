"""Small tables, and commands that run in a folder of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sktgdp.cli import main


def people(n_rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Numbers, integers, texts and labels of two classes; the label stands in the middle."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 80, n_rows),
            "city": rng.choice(["Lima", "Oslo", "Łódź"], n_rows),
            "sick": rng.permutation(np.arange(n_rows) % 2),
            "height": np.round(rng.normal(170 + shift, 10, n_rows), 2),
        }
    )


@dataclass
class Workplace:
    """A folder to work in, and the way to run commands there."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of a command."""
        self.capture.readouterr()
        status = main([str(self.folder / a[1:]) if a.startswith("@") else a for a in arguments])
        output = self.capture.readouterr()
        return status, output.out, output.err

    def refused(self, *arguments: str) -> str:
        """The single line that a command ends with that the user can put right."""
        status, out, err = self.run(*arguments)
        assert status == 1
        assert out == ""
        lines = [line for line in err.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1
        assert err.splitlines()[-1] == lines[0]
        return lines[0].replace(f"{self.folder}/", "")
