"""One of the processes that train a model together: writes what it ends with into a folder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sktgdp import DiffusionGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.nets import ScoreMLP

X, Y, _, _ = make_gaussian_mixture_shift(n_source=2000, n_target=2, random_state=0)
SETTINGS: dict[str, Any] = {
    "max_steps": 400,
    "batch_size": 64,
    "hidden_sizes": (64, 64),
    "early_stopping": True,
    "device": "cpu",
}


class BrokenOnce(ScoreMLP):
    """In the second process alone, the loss of one step is infinite."""

    n_calls = 0

    def forward(self, x_t: Any, t: Any, y: Any = None) -> Any:
        self.n_calls += self.training
        broken = self.training and self.n_calls == 7 and os.environ.get("RANK") == "1"
        noise = super().forward(x_t, t, y)
        return noise + float("inf") if broken else noise


def main(folder: Path) -> None:
    rank = int(os.environ["RANK"])
    own_rows = X[: 100 + rank]
    try:
        DiffusionGenerator(**SETTINGS, data_parallel=True).fit(own_rows)
        refused = ""
    except ValueError as error:
        refused = str(error)
    few = {**SETTINGS, "module": BrokenOnce, "max_steps": 20}
    skipping = DiffusionGenerator(**few, data_parallel=True).fit(X, Y)  # no seed: that of the first process
    gen = DiffusionGenerator(**SETTINGS, random_state=0, data_parallel=True).fit(X, Y)
    rows, _ = gen.sample(2000, random_state=1)
    for name, model in (("network", gen), ("skipping", skipping)):
        weights = {key: value.numpy() for key, value in model.network_.state_dict().items()}
        np.savez(folder / f"{name}-{rank}.npz", **weights)
    np.save(folder / f"rows-{rank}.npy", rows)
    report = {"refused": refused, "history": gen.history_, "skipping": skipping.history_}
    (folder / f"report-{rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
