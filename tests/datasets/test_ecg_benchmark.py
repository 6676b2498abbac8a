"""The ECG benchmark: the heart's axis, and both configurations in their tiny form from records to tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ecg_files import write
from skorch.callbacks import Callback

from benchmarks.__main__ import main
from benchmarks._ecg_data import heart_axis, load_published, load_small
from sktgdp import DiffusionGenerator
from sktgdp.datasets import STANDARD_LEADS

CLASSES = ["NORM", "AFIB", "1AVB", "CLBBB", "CRBBB", "PAC", "PVC", "STD_", "STE_"]
SNOMED = [
    *("426783006", "164889003", "270492004", "164909002", "59118001"),
    *("284470004", "164884008", "429622005", "164931005"),
]


def _beats(degrees: float, n: int = 1000) -> np.ndarray:
    """Twelve leads (12, n) at 100 Hz whose QRS complexes point along an axis of the frontal plane."""
    complexes = np.zeros(n)
    complexes[60::80] = 1.0
    wave = np.convolve(complexes, np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2), "same")
    angle = np.radians(degrees)
    first, augmented = np.cos(angle), np.sqrt(3.0) / 2.0 * np.sin(angle)
    limb = [first, first / 2 + augmented, augmented - first / 2]
    limb += [-0.75 * first - augmented / 2, 0.75 * first - augmented / 2, augmented]
    return np.array([*limb, *[0.3] * 6])[:, None] * wave


@pytest.mark.parametrize("degrees", [-60.0, 0.0, 30.0, 75.0, 170.0])
def test_axis_of_known_complexes(degrees: float) -> None:
    assert heart_axis([_beats(degrees)], STANDARD_LEADS, 100.0)[0] == pytest.approx(degrees, abs=1.0)


def _folders(path: Path) -> tuple[Path, Path]:
    """Small collections in the layouts of PTB-XL and of the challenge's ICBEB2018."""
    rng = np.random.default_rng(0)
    names = ["ecg_id,patient_id,scp_codes,strat_fold,filename_lr,filename_hr"]
    rows = [",description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass"]
    rows += [f"{name},{name},1.0,,,{name},{name}" for name in CLASSES]
    for i in range(36):
        record = f"records100/{i:05d}_lr"
        names.append(f"{i + 1},{i},\"{{'{CLASSES[i % 9]}': 100.0}}\",{i % 10 + 1},{record},{record}")
        write(path / "ptbxl" / record, _beats(10.0 * (i % 9)) + rng.normal(0, 0.02, (12, 1000)))
    (path / "ptbxl" / "ptbxl_database.csv").write_text("\n".join(names))
    (path / "ptbxl" / "scp_statements.csv").write_text("\n".join(rows))
    for i in range(45):
        length = 800 + 100 * (i % 12)  # shorter than a window, and long enough for two
        x = _beats(10.0 * (i % 9), length) + rng.normal(0, 0.02, (12, length))
        write(path / "icbeb" / f"A{i:04d}", x, comments=[f"Dx: {SNOMED[i % 9]}"])
    return path / "ptbxl", path / "icbeb"


def test_published_from_records_to_tables(tmp_path: Path) -> None:
    ptbxl, icbeb = _folders(tmp_path)
    shift = load_published(0, ptbxl=ptbxl, icbeb=icbeb)
    assert list(shift.classes) == CLASSES
    assert shift.X_src.shape == (36, 8, 1000)
    assert len(shift.Y_test) == 41
    assert set(np.unique(shift.record)) == set(range(41))
    folders = ["--ptbxl", str(ptbxl), "--icbeb", str(icbeb)]
    out = ["--out", str(tmp_path / "docs"), "--cache", str(tmp_path / "cache"), "--threads", "1"]
    assert main(["ecg", "--config", "published", "--quick", *folders, *out]) == 0
    written = tmp_path / "docs" / "benchmarks"
    page = (written / "ecg.md").read_text(encoding="utf-8")
    for words in ("Table 2", "Table 3", "fine-tuned classifier", "TGDP", "41 held-out records"):
        assert words in page
    rows = (written / "ecg_published_table_3.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 6
    assert (written / "ecg_published_traces.png").stat().st_size > 10_000


def test_published_asks_for_its_folders() -> None:
    with pytest.raises(SystemExit, match="--ptbxl and --icbeb"):
        main(["ecg", "--config", "published", "--quick"])


@pytest.mark.usefixtures("data_dir")
def test_small_keeps_target_records_apart() -> None:
    one, other = load_small(0), load_small(1)
    assert one.X_src.shape[1:] == (8, 256)
    assert len(one.Y_test) == 171
    assert (one.Y_test.sum(axis=1) == 1).all()
    held = {window.tobytes() for window in one.X_test}
    assert not held & {window.tobytes() for window in one.X_tgt}
    assert {w.tobytes() for w in one.X_tgt} != {w.tobytes() for w in other.X_tgt}


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
def test_small_from_records_to_tables(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "docs"), "--cache", str(tmp_path / "cache"), "--threads", "1"]
    assert main(["ecg", "--config", "small", "--quick", *out]) == 0
    page = (tmp_path / "docs" / "benchmarks" / "ecg.md").read_text(encoding="utf-8")
    assert "171 held-out records" in page


class _StopAfter(Callback):
    """End a training early, on the schedule of a long one."""

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def on_epoch_end(self, net: object, **kwargs: object) -> None:
        if len(net.history) >= self.n_epochs:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.usefixtures("data_dir")
def test_source_network_survives_artefacts() -> None:
    """At a rate of 0.003 a batch with artefacts ends all learning within 150 steps, at a loss of 0.27."""
    shift, stop = load_small(0), _StopAfter(6)
    model = DiffusionGenerator(max_steps=2500, early_stopping=False, random_state=0, callbacks=[stop])
    losses = [row["train_score"] for row in model.fit(shift.X_src, shift.y_src).history_]
    assert losses[-1] < 0.15
