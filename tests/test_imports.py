"""What ``import sktgdp`` loads, and what a user without the optional packages is told."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import sktgdp
from sktgdp._extras import OPTIONAL, require

ROOT = Path(__file__).resolve().parents[1]

# Every module but the command line, which is made of typer; what scikit-learn and skorch load is theirs.
LOAD_ALL = """
import sys
import skorch, sklearn, torch
before = set(sys.modules)
import importlib, pkgutil
import sktgdp
names = [each.name for each in pkgutil.walk_packages(sktgdp.__path__, "sktgdp.")]
for name in names:
    if not name.startswith(("sktgdp.cli", "sktgdp.__main__")):
        importlib.import_module(name)
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
"""

WITHOUT = """
import json, sys
sys.modules.update(dict.fromkeys({packages}))  # an import of them fails as if they were not there
{load}
def message(use):
    shown = io.StringIO()
    try:
        with contextlib.redirect_stderr(shown):
            use()
    except ImportError as error:
        return str(error)
    return shown.getvalue().removeprefix("Error: ")

import contextlib, io
import numpy as np
from sktgdp import GenerativeSampler
from sktgdp.cli import main
from sktgdp.datasets import load_wfdb_records
X, y = np.zeros((4, 2)), np.array([0, 0, 0, 1])
uses = {{
    "imblearn": lambda: GenerativeSampler().fit_resample(X, y),
    "timeseries": lambda: load_wfdb_records({folder!r}),
    "cli": lambda: main([]),
}}
print(json.dumps({{extra: message(use) for extra, use in uses.items()}}))
"""


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


HEAVY = {"matplotlib", "numpy", "pandas", "pyarrow", "scipy", "skorch", "sklearn", "torch"}


@pytest.mark.parametrize("arguments", ["--help", "fit --help", "sample --help", "--version", "fry"])
def test_help_loads_nothing_heavy(arguments: str) -> None:
    code = "import sys; from sktgdp.cli import main; main(sys.argv[1:]); print('loaded', *sys.modules)"
    loaded = run_python(code, *arguments.split()).rpartition("loaded ")[2].split()
    assert "typer" in loaded
    assert HEAVY & {*loaded} == set()


def test_package_loads_its_rooms_on_use() -> None:
    rooms = {each.name for each in pkgutil.iter_modules(sktgdp.__path__)}
    public = {name for name in rooms if not name.startswith("_")} - {"cli"}
    assert {*dir(sktgdp)} >= {*sktgdp.__all__, *public}
    names = f"(getattr(sktgdp, name).__name__ for name in {sorted(public)})"
    code = f"import sktgdp; print(*{names}); from sktgdp import *; print(TGDPGenerator.__name__)"
    assert run_python(code).split() == [*(f"sktgdp.{name}" for name in sorted(public)), "TGDPGenerator"]
    with pytest.raises(AttributeError, match=r"^module 'sktgdp' has no attribute 'TDGPGenerator'"):
        _ = sktgdp.TDGPGenerator


def test_optional_packages_load_on_use() -> None:
    late = {*OPTIONAL, "tensorboard"}
    assert run_python(f"{LOAD_ALL}\nprint(*loaded & {late})").split() == []


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What uses of optional packages say in a process that has none of them, by extra."""
    folder = tmp_path_factory.mktemp("records")
    (folder / "a.hea").touch()
    return json.loads(run_python(WITHOUT.format(packages=[*OPTIONAL], load=LOAD_ALL, folder=str(folder))))


@pytest.mark.parametrize(
    ("extra", "who"),
    [("imblearn", "GenerativeSampler"), ("timeseries", "Reading WFDB records"), ("cli", "The command line")],
)
def test_error_names_the_extra(messages: dict[str, str], extra: str, who: str) -> None:
    assert messages[extra].startswith(f"{who} needs ")
    assert f'pip install "sktgdp[{extra}]"' in messages[extra]


@pytest.mark.parametrize("package", OPTIONAL)
def test_absent_package(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    distribution, extra = OPTIONAL[package]
    with pytest.raises(ImportError, match=rf'A test needs {distribution}: pip install "sktgdp\[{extra}\]"'):
        require(package, "A test")
    with pytest.raises(ImportError, match=r'pip install "sktgdp\[other\]"'):
        require(package, "A test", extra="other")


def test_broken_package_says_what_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wfdb.py").write_text("import not_there_either")
    monkeypatch.delitem(sys.modules, "wfdb", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_there_either'"):
        require("wfdb", "A test")
    sys.modules.pop("wfdb", None)


def test_present_package() -> None:
    pytest.importorskip("pandas")
    assert require("pandas.api.types", "A test").is_bool_dtype(bool)
