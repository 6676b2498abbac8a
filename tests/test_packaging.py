"""What is shipped: one version, typed, licensed, and a README whose commands exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import sktgdp
from sktgdp._extras import OPTIONAL

ROOT = Path(__file__).resolve().parents[1]


def build(source: Path, what: str, folder: Path) -> None:
    """Build a wheel or an sdist into a folder."""
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", what, "-d", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that this checkout builds; needs no network, since hatchling is a development tool."""
    folder = tmp_path_factory.mktemp("wheel")
    build(ROOT, "wheel", folder)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def metadata(wheel: zipfile.ZipFile) -> str:
    return wheel.read(next(n for n in wheel.namelist() if n.endswith("METADATA"))).decode()


def test_version_has_one_source(wheel: zipfile.ZipFile) -> None:
    assert f"\nVersion: {sktgdp.__version__}\n" in metadata(wheel)
    assert not re.search(r"^version\s*=", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


def test_newest_change_is_of_this_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert sktgdp.__version__.split(".dev")[0] == newest[1]


def test_wheel_ships_types_and_licence(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "sktgdp/py.typed" in names
    assert any(name.endswith("LICENSE") for name in names)


def test_wheel_installs_the_program(wheel: zipfile.ZipFile) -> None:
    name = next(n for n in wheel.namelist() if n.endswith("entry_points.txt"))
    assert wheel.read(name).decode().split() == ["[console_scripts]", "sktgdp", "=", "sktgdp.cli:main"]


def test_errors_name_extras_that_bring_the_package(wheel: zipfile.ZipFile) -> None:
    wanted = re.findall(r"^Requires-Dist: ([\w-]+).*extra == '(\w+)'", metadata(wheel), re.MULTILINE)
    assert set(OPTIONAL.values()) <= set(wanted)
    # the command line asks for all that it imports under one name
    assert {("pandas", "cli"), ("pyarrow", "cli"), ("typer", "cli"), ("matplotlib", "cli")} <= set(wanted)
    assert {("pandas", "timeseries"), ("wfdb", "timeseries")} <= set(wanted)


def test_sdist_builds_the_same_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """What is published as source lacks nothing that the package needs."""
    build(ROOT, "sdist", tmp_path)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    build(next(path for path in tmp_path.iterdir() if path.is_dir()), "wheel", tmp_path)
    built = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    assert sorted(built.namelist()) == sorted(wheel.namelist())
    assert built.read("sktgdp/__init__.py") == wheel.read("sktgdp/__init__.py")


SMOKE = """
import numpy as np, sktgdp
from sktgdp.cli import main
rng = np.random.default_rng(0)
small = {"max_steps": 2, "hidden_sizes": (8,)}
gen = sktgdp.TGDPGenerator(sktgdp.DiffusionGenerator(**small), n_networks=1, **small)
gen.fit(rng.normal(size=(40, 2)), None, rng.normal(size=(10, 2)), None).save("model")
assert main(["sample", "model", "-n", "3", "-o", "rows.csv", "-q"]) == 0
print(sktgdp.__file__)
"""


@pytest.mark.slow
def test_wheel_works_away_from_the_checkout(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Unpacked into an empty folder, which stands before the environment that holds the other packages."""
    wheel.extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", SMOKE],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "site" / "sktgdp" / "__init__.py")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 4


TYPED = """
import numpy as np
from sktgdp import DomainClassifier, TGDPGenerator
from sktgdp.metrics import coverage_score, get_scorer
from sktgdp.report import QualityReport

X = np.zeros((4, 2))
gen = TGDPGenerator(eta_cycle=1.0).fit(X, None, X, None)
reveal_type(gen)
reveal_type(gen.sample(3))
reveal_type(gen.score_samples(X))
reveal_type(gen.score(X))
reveal_type(TGDPGenerator.load("model"))
reveal_type(DomainClassifier().fit(X, None, X, None).log_density_ratio(X))
reveal_type(coverage_score(X, X))
reveal_type(get_scorer("neg_fid")(gen, X))
reveal_type(QualityReport(X, X).to_dict())
"""
REVEALED = [
    "sktgdp.estimators.tgdp.TGDPGenerator",
    "tuple[Any, numpy.ndarray[tuple[Any, ...], numpy.dtype[Any]] | None]",
    "numpy.ndarray[tuple[Any, ...], numpy.dtype[numpy.float64]]",
    "float",
    "sktgdp.estimators.tgdp.TGDPGenerator",
    "numpy.ndarray[tuple[Any, ...], numpy.dtype[numpy.float64]]",
    "float",
    "float",
    "dict[str, Any]",
]


@pytest.mark.slow
def test_users_see_types(tmp_path: Path) -> None:
    """The annotations reach a checker of a user's script, in its strict mode."""
    pytest.importorskip("mypy")
    script = tmp_path / "script.py"
    script.write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}/cache"]
    options = {"cwd": tmp_path, "env": os.environ | {"MYPYPATH": str(ROOT)}, "capture_output": True}
    done = subprocess.run(
        [*command, "--follow-imports=silent", "--ignore-missing-imports", str(script)], text=True, **options
    )
    revealed = [text.replace("builtins.", "") for text in re.findall(r'Revealed type is "(.*)"', done.stdout)]
    assert revealed == REVEALED, done.stdout + done.stderr


def test_wheel_ships_the_package_only(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sktgdp"}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sktgdp").rglob("*.py")}
    assert modules <= set(wheel.namelist())


def test_torch_is_pinned_first() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins[0].startswith("torch==")
    assert all("==" in pin for pin in pins)


def test_oldest_versions_are_those_that_are_allowed(wheel: zipfile.ZipFile) -> None:
    """What users install comes at its lower bound; PyTorch is too large to be there twice."""
    users = r"^Requires-Dist: ([\w-]+)>=([\d.]+)(?:; extra == '(?:cli|pandas|plot)')?$"
    wanted = set(re.findall(users, metadata(wheel), re.MULTILINE))
    lines = (ROOT / "oldest.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    bounds = {name: version for name, version in wanted if name != "torch"}
    assert set(pins) - set(bounds) == {"pytz", "tzdata"}  # what the oldest pandas needs
    assert [name for name, least in bounds.items() if not f"{pins[name]}.".startswith(f"{least}.")] == []


def test_readme_commands_are_make_targets() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, re.MULTILINE))
    assert {"demo", "test"} <= commands <= targets


def test_readme_links_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", readme)
    assert [link for link in links if not (ROOT / link).exists()] == []
