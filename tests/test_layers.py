"""The rules of the house, read off the syntax trees: who imports whom, and how long things may be.

A module's *room* is the first name after ``sktgdp``: a file (``process``) or a folder (``nets``).
Each room lists the rooms below it that it may import, the third-party packages that it may import, and
those that it may import only under a guard (inside a function, a ``try`` or an ``if``), since a user may
not have them. The package's ``__init__`` may import every room and nothing else.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40


@dataclass(frozen=True)
class Room:
    """What the modules of one room may import, besides the standard library and their own folder."""

    rooms: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    guarded: frozenset[str] = frozenset()


def room(rooms: frozenset[str] | set[str], packages: str, guarded: str = "") -> Room:
    return Room(frozenset(rooms), frozenset(packages.split()), frozenset(guarded.split()))


LAYER_2 = {"losses", "guidance", "solvers", "oracles", "likelihood", "nets"}
MATHEMATICS = {"process"} | LAYER_2
LAYER_3 = {"metrics", "preprocessing", "datasets", "_storage"}
BELOW_TOP = MATHEMATICS | LAYER_3 | {"_arrays", "_extras", "estimators", "exceptions"}
ROOMS = {
    "_arrays": room(set(), "numpy"),
    "_extras": room(set(), ""),
    "exceptions": room(set(), ""),
    "process": room(set(), "torch"),
    **{name: room({"process"}, "torch") for name in LAYER_2},
    "metrics": room({"_arrays"}, "numpy scipy sklearn joblib"),
    "preprocessing": room({"_arrays", "exceptions"}, "numpy scipy sklearn", "pandas"),
    "_storage": room({"exceptions"}, "numpy torch safetensors", "pandas pyarrow"),
    "datasets": room(MATHEMATICS | {"_extras"}, "numpy scipy sklearn torch tqdm", "pandas wfdb"),
    "estimators": room(
        MATHEMATICS | LAYER_3 | {"_arrays", "_extras", "exceptions"},
        "numpy scipy sklearn torch skorch joblib filelock safetensors tqdm",
        "pandas",
    ),
    "model_selection": room(BELOW_TOP, "numpy scipy sklearn", "pandas"),
    "plotting": room(BELOW_TOP, "numpy scipy sklearn", "matplotlib pandas"),
    "report": room(LAYER_3 | {"_arrays", "plotting"}, "numpy scipy sklearn", "matplotlib"),
    "cli": room(BELOW_TOP | {"report"}, "numpy pandas pyarrow tqdm typer"),
    "__main__": room({"cli"}, ""),
    "__init__": room(BELOW_TOP | {"model_selection", "plotting", "report"}, ""),
}
READ_VERSION = {"estimators", "cli"}  # may import sktgdp.__version__, to write it into saved files


def imports(tree: ast.AST, package: str, guarded: bool = False) -> Iterator[tuple[str, int, bool]]:
    """Yield (absolute name, line, under a guard) for every import below ``tree``.

    ``package`` is the dotted name that relative imports start from.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            name = ".".join([*start, *filter(None, [node.module])])
            names = [f"{name}.{alias.name}" for alias in node.names] if name == "sktgdp" else [name]
            yield from ((each, node.lineno, guarded) for each in names)
        else:
            guards = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Try | ast.If)
            yield from imports(node, package, guarded or guards)


def import_violations(source: str, path: str) -> list[str]:
    """What the module at ``path`` (``sktgdp/...``) imports against the rules."""
    parts = Path(path).with_suffix("").parts
    name = parts[1]
    if name not in ROOMS:
        return [f"{path}: the room {name!r} has no layer; give it one in ROOMS"]
    rule, found = ROOMS[name], []
    for target, line, guarded in imports(ast.parse(source), ".".join(parts[:-1])):
        top, _, rest = target.partition(".")
        if top == "sktgdp":
            version = rest == "__version__" and name in READ_VERSION
            allowed = version or rest.split(".")[0] in rule.rooms | {name}
        else:
            known = rule.packages | (rule.guarded if guarded else frozenset())
            allowed = top in sys.stdlib_module_names or top in known
        if not allowed:
            hint = " without a guard" if top in rule.guarded else ""
            found.append(f"{path}:{line}: {name} may not import {target}{hint}")
    return found


def size_violations(source: str, path: str) -> list[str]:
    """Files and functions that are too long. A function's docstring counts, its decorators do not."""
    n_lines = len(source.splitlines())
    found = [f"{path}: {n_lines} lines, over {MAX_FILE_LINES}"] if n_lines > MAX_FILE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                where = f"{path}:{node.lineno}: {node.name}"
                found.append(f"{where} has {length} lines, over {MAX_FUNCTION_LINES}")
    return found


def is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def missing_annotations(function: ast.FunctionDef | ast.AsyncFunctionDef, method: bool) -> list[str]:
    """Names of the arguments without an annotation, and ``return``."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
    named = named[1:] if method and not static else named
    everything = [*named, *arguments.kwonlyargs, *filter(None, [arguments.vararg, arguments.kwarg])]
    missing = [argument.arg for argument in everything if argument.annotation is None]
    return missing if function.returns is not None else [*missing, "return"]


def annotation_violations(source: str, path: str) -> list[str]:
    """Public functions, and public methods of public classes, that are not annotated in full."""

    def check(tree: ast.AST, prefix: str) -> Iterator[str]:
        for node in ast.iter_child_nodes(tree):
            if isinstance(node, ast.ClassDef) and is_public(node.name):
                yield from check(node, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_public(node.name):
                missing = missing_annotations(node, method=isinstance(tree, ast.ClassDef))
                if missing:
                    where = f"{path}:{node.lineno}: {prefix}{node.name}"
                    yield f"{where} lacks annotations: {', '.join(missing)}"

    return list(check(ast.parse(source), ""))


def print_violations(source: str, path: str) -> list[str]:
    """Calls of print: the package logs, or returns what it has to say."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [
        f"{path}:{call.lineno}: print; use logging.getLogger(__name__), or typer.echo in the command line"
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]


def python_files(*folders: str) -> list[str]:
    files = (file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


PACKAGE_FILES = python_files("sktgdp")
ALL_FILES = python_files("sktgdp", "tests", "benchmarks", "examples")


@pytest.mark.parametrize("path", PACKAGE_FILES)
def test_imports_go_down(path: str) -> None:
    violations = import_violations((ROOT / path).read_text(encoding="utf-8"), path)
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize("path", ALL_FILES)
def test_sizes(path: str) -> None:
    violations = size_violations((ROOT / path).read_text(encoding="utf-8"), path)
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize("path", PACKAGE_FILES)
def test_public_functions_are_annotated(path: str) -> None:
    violations = annotation_violations((ROOT / path).read_text(encoding="utf-8"), path)
    assert not violations, "\n".join(violations)


@pytest.mark.parametrize("path", PACKAGE_FILES)
def test_nothing_is_printed(path: str) -> None:
    violations = print_violations((ROOT / path).read_text(encoding="utf-8"), path)
    assert not violations, "\n".join(violations)


# The checker itself ---------------------------------------------------------------------------------
ALLOWED = [
    ("sktgdp/process.py", "import math\nimport torch"),
    ("sktgdp/losses.py", "from .process import VPProcess"),
    ("sktgdp/nets/mlp.py", "from sktgdp.nets.embeddings import Fourier\nfrom . import embeddings"),
    ("sktgdp/nets/__init__.py", "from .mlp import MLP\nfrom ..process import VPProcess"),
    ("sktgdp/preprocessing/table.py", "def f() -> None:\n    import pandas"),
    ("sktgdp/datasets/mixture.py", "from ..oracles import GaussianMixture"),
    ("sktgdp/estimators/tgdp.py", "from .. import __version__, losses\nimport skorch"),
    ("sktgdp/plotting/samples.py", "try:\n    import matplotlib\nexcept ImportError:\n    pass"),
    ("sktgdp/__init__.py", "from .estimators import TGDPGenerator\nfrom . import metrics"),
]
FORBIDDEN = [
    ("sktgdp/process.py", "from . import losses"),
    ("sktgdp/process.py", "import sklearn.base"),
    ("sktgdp/losses.py", "from .guidance import guided"),
    ("sktgdp/solvers.py", "def f() -> None:\n    from sktgdp.oracles import GaussianMixture"),
    ("sktgdp/nets/mlp.py", "from ..losses import kl"),
    ("sktgdp/nets/mlp.py", "import skorch"),
    ("sktgdp/metrics/frechet.py", "import torch"),
    ("sktgdp/metrics/scorers.py", "from ..estimators import TGDPGenerator"),
    ("sktgdp/preprocessing/table.py", "import pandas"),
    ("sktgdp/datasets/mixture.py", "from sktgdp import TGDPGenerator"),
    ("sktgdp/estimators/tgdp.py", "from ..model_selection import StratifiedTargetKFold"),
    ("sktgdp/model_selection.py", "import sktgdp"),
    ("sktgdp/__init__.py", "import requests"),
    ("sktgdp/attic.py", ""),
]


@pytest.mark.parametrize(("path", "source"), ALLOWED)
def test_checker_accepts(path: str, source: str) -> None:
    assert import_violations(source, path) == []


@pytest.mark.parametrize(("path", "source"), FORBIDDEN)
def test_checker_finds_import(path: str, source: str) -> None:
    assert len(import_violations(source, path)) == 1


@pytest.mark.parametrize(("n_body", "n_found"), [(39, 0), (40, 1)])
def test_checker_finds_long_function(n_body: int, n_found: int) -> None:
    source = "@decorator\ndef f():\n" + "    x = 1\n" * n_body
    assert len(size_violations(source, "a.py")) == n_found


@pytest.mark.parametrize(("n_lines", "n_found"), [(400, 0), (401, 1)])
def test_checker_finds_long_file(n_lines: int, n_found: int) -> None:
    assert len(size_violations("x = 1\n" * n_lines, "a.py")) == n_found


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("def f(x: int, *args: int) -> None: ...", ""),
        ("def f(x, *, y, **kwargs): ...", "x, y, kwargs, return"),
        ("class A:\n    def f(self, x) -> None: ...", "x"),
        ("class A:\n    @staticmethod\n    def f(x) -> None: ...", "x"),
        ("class A:\n    def __init__(self, x: int): ...", "return"),
        ("def _f(x): ...\nclass _A:\n    def f(self, x): ...", ""),
        ("def f() -> None:\n    def inner(x): ...", ""),
    ],
)
def test_checker_finds_missing_annotation(source: str, missing: str) -> None:
    found = annotation_violations(source, "a.py")
    assert [text.rpartition(": ")[2] for text in found] == ([missing] if missing else [])


def test_checker_finds_print() -> None:
    assert len(print_violations("def f():\n    print(1)\n    table.print()", "a.py")) == 1
