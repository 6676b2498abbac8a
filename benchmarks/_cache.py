"""Finished runs on disk: a record is a dict of JSON values and arrays, found again by what it depends on.

A record's file is named after its key, a JSON dict of everything that the caller chose, and states the
version of the code that made it: a digest of the syntax trees, so that comments and docstrings may change.
A record of another version is made again, unless reuse is asked for.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np

__all__ = ["RunCache", "code_version"]

ROOT = Path(__file__).resolve().parents[1]
Record = dict[str, Any]


def _tree(path: Path) -> str:
    """Syntax tree of a module, less its docstrings and positions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.Pass()
    return ast.dump(tree)


@lru_cache
def code_version(patterns: tuple[str, ...], without: tuple[str, ...] = ()) -> str:
    """Digest of the code of the modules that match.

    Parameters
    ----------
    patterns : tuple of str
        Glob patterns relative to the repository.
    without : tuple of str
        Patterns of modules to leave out.
    """
    paths = {path for pattern in patterns for path in ROOT.glob(pattern)}
    paths -= {path for pattern in without for path in ROOT.glob(pattern)}
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(ROOT)}\n{_tree(path)}\n".encode())
    return digest.hexdigest()[:10]


def _slug(key: Mapping[str, Any]) -> str:
    """File name of a key: readable words of it, and a digest of the whole."""
    text = json.dumps(key, sort_keys=True)
    words = [str(value) for value in key.values() if isinstance(value, str | int) and value is not True]
    readable = "".join(c if c.isalnum() else "-" for c in "_".join(words))[:60]
    return f"{readable}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class RunCache:
    """A folder of finished runs; safe for several processes, since files are moved into place whole.

    Parameters
    ----------
    folder : Path
    fresh : bool
        Run everything again.
    reuse : bool
        Take records of other versions of the code too.
    """

    def __init__(self, folder: Path, *, fresh: bool = False, reuse: bool = False) -> None:
        self.folder, self.reuse = Path(folder), reuse
        self.since = time.time() if fresh else 0.0  # what is older does not count, in any process

    def record(self, key: Mapping[str, Any], code: str, compute: Callable[[], Record]) -> Record:
        """The record of a key, computed if there is none; its field ``code`` tells the version."""
        path = self.folder / f"{_slug(key)}.json"
        found = self._read(path, code)
        if found is not None:
            return found
        record = compute() | {"code": code}
        arrays = {name: value for name, value in record.items() if isinstance(value, np.ndarray)}
        plain = {name: value for name, value in record.items() if name not in arrays}
        # the arrays first: a record counts as finished once its JSON file is there
        if arrays:
            self._write(path.with_suffix(".npz"), lambda file: np.savez_compressed(file, **arrays))
        text = json.dumps({"key": dict(key), "record": plain, "arrays": sorted(arrays)}, indent=1)
        self._write(path, lambda file: file.write(text.encode()))
        return record

    def has(self, key: Mapping[str, Any], code: str) -> bool:
        """Whether the record of a key is there and would be taken."""
        return self._read(self.folder / f"{_slug(key)}.json", code) is not None

    def model(self, key: Mapping[str, Any], code: str, fit: Callable[[], Any]) -> Any:
        """A fitted estimator, kept by joblib."""
        path = self.folder / "models" / f"{_slug(key)}_{code}.joblib"
        if self._counts(path):
            return joblib.load(path)
        model = fit()
        self._write(path, lambda file: joblib.dump(model, file))
        return model

    def _counts(self, path: Path) -> bool:
        return path.exists() and path.stat().st_mtime >= self.since

    def _read(self, path: Path, code: str) -> Record | None:
        if not self._counts(path):
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["record"]["code"] != code and not self.reuse:
            return None
        arrays: Record = {}
        if stored["arrays"]:
            with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
                arrays = {name: file[name] for name in stored["arrays"]}
        return stored["record"] | arrays

    def _write(self, path: Path, write: Callable[[Any], Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.replace(name, path)
