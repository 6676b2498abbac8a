"""States of trainings on disk: tensors as safetensors, all else as JSON in the same file's header.

Nothing in such a file can run. A file is replaced as a whole: whoever reads it, at whatever moment the
writer was killed, finds the old state or the new one.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from sktgdp.exceptions import CheckpointError

__all__ = ["checked_folder", "read_state", "replace_file", "write_state"]


def checked_folder(given: str | Path, name: str) -> Path:
    """The path of a folder that is there or can be made; ``name`` is that of the argument.

    Raises
    ------
    ValueError
        It is empty, or there is something else at the path or above it.
    """
    if not str(given):
        raise ValueError(f"{name} is an empty path. Give the path of a folder, or None.")
    path = Path(given)
    places = (path.absolute(), *path.absolute().parents)
    found = next(each for each in places if each.exists() or each.is_symlink())
    if not found.is_dir():
        kind = "a file" if found.exists() else "a link to what does not exist"
        raise ValueError(f"{name} must be a folder, or a path for a new one; {found} is {kind}.")
    return path


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it is there in full or not at all, even after a loss of power."""
    new = path.with_name(path.name + ".new")  # one writer at a time: what it left behind, it overwrites
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    if os.name == "posix":  # the name is part of the folder, which has a buffer of its own
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a nest of mappings, sequences, tensors, numbers, texts and None.

    Tuples come back as lists, tensors on the CPU.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_encode(state, tensors))
    metadata = {"state": text, "checksum": str(_checksum(text, tensors))}
    replace_file(path, save(tensors, metadata))


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote.

    Raises
    ------
    CheckpointError
        The file is damaged or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        if str(_checksum(metadata["state"], tensors)) != metadata["checksum"]:
            raise ValueError("its checksum is wrong")
        state: dict[str, Any] = _decode(json.loads(metadata["state"]), tensors)
    except Exception as error:  # whatever the readers make of arbitrary bytes
        raise CheckpointError(
            f"The checkpoint file {path} is damaged ({type(error).__name__}: {error}). Delete it to train "
            "that network again; what the other files of the folder hold is kept."
        ) from error
    return state


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # a copy: a file may not hold two tensors that share memory
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"items": [[key, _encode(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_encode(item, tensors) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    return {key: _decode(item, tensors) for key, item in value["items"]}


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> int:
    checksum = zlib.crc32(text.encode())
    for name in sorted(tensors):
        checksum = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, checksum)
    return checksum
