"""The program as a process of its own: the entry point, pipes, Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workplace import people

import sktgdp
from sktgdp import load
from sktgdp.cli import main

ROOT = Path(sktgdp.__file__).resolve().parents[1]
SKTGDP = [sys.executable, "-m", "sktgdp"]
# stands for a user at the keyboard: a function that interrupts the process when it has run
INTERRUPTED = """
import os, signal, sys
from sktgdp.cli import main
from {module} import {owner} as owner
function = owner.{name}
def interrupting(*args, **kwargs):
    function(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGINT)
owner.{name} = interrupting
sys.exit(main(sys.argv[1:]))
"""


def interrupted(function: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command during which a function interrupts the process."""
    module, owner, name = function.rsplit(".", 2)
    code = INTERRUPTED.format(module=module, owner=owner, name=name)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_module_and_pipes(model: str) -> None:
    """A reader that stops early, as ``head`` does, is no error to speak of."""
    command = [*SKTGDP, "sample", model, "-n", "20000", "--batch-size", "2000", "--steps", "1", "-o", "-"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "age,city,sick,height\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def test_ctrl_c_while_writing(model: str, tmp_path: Path) -> None:
    options = ("-n", "50", "--batch-size", "10", "-o", str(tmp_path / "s.csv"))
    done = interrupted("pandas.DataFrame.to_csv", "sample", model, *options)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted; nothing was written.\n")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_writing_parquet(model: str, tmp_path: Path) -> None:
    """The parts that are there stay, and the same command completes them."""
    command = ("sample", model, "-n", "50", "--batch-size", "10", "-q", "-o", str(tmp_path / "s.parquet"))
    done = interrupted("sktgdp.estimators._sampling.parquet.Parts.add", *command)
    said = f"Interrupted; the same command goes on after the rows in {tmp_path / 's.parquet.parts'}\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)
    assert (tmp_path / "s.parquet.parts" / "part_000000.parquet").exists()
    assert main([*command]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["s.parquet"]
    X, y = load(model).sample(50, random_state=0)
    table = pd.read_parquet(tmp_path / "s.parquet")
    pd.testing.assert_frame_equal(table.drop(columns="sick"), X)
    np.testing.assert_array_equal(table["sick"], y)


def test_ctrl_c_while_training(tmp_path: Path) -> None:
    """It ends the command, not only the phase that is under way."""
    for name, n_rows in (("source", 60), ("target", 20)):
        people(n_rows, 0).to_csv(tmp_path / f"{name}.csv", index=False)
    files = [str(tmp_path / f"{name}.csv") for name in ("source", "target")]
    done = interrupted("torch.optim.AdamW.step", "fit", *files, "--model", str(tmp_path / "m"))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted; nothing was written.\n")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--help"], 0), (["--version"], 0), (["fit", "--help"], 0), (["report", "--help"], 0), (["fry"], 2)],
)
def test_exit_status(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == status
    output = capsys.readouterr()
    assert (output.err if status else output.out) != ""
    assert "Traceback" not in output.err


@pytest.mark.parametrize("command", ["fit", "sample", "report", "info"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"\n    sktgdp {command} " in capsys.readouterr().out
