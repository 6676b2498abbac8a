"""The files of a saved model, and what is refused when they are read.

A model is a folder, or a zip file of the same two entries, not compressed:

- ``model.json``: the marks of the format, the schema's number, the writer's version, the name of the other
  file, the model's values as JSON, and a SHA-256 of all these;
- ``<sha256>.safetensors``: the arrays, named by the digest of the file.

So whatever changed on the way is noticed. The digests prove nothing about who wrote a file: a reader must
take every value for hostile, and nothing here allocates more than a small multiple of the size of the files.
Files are written beside the place where they go and renamed. In a folder that holds a model already, the new
arrays come under their own name first, then one rename of ``model.json`` exchanges the models.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import stat
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from torch import Tensor

from sktgdp._storage._codec import LONGEST_NUMBER
from sktgdp.exceptions import ModelFileError

__all__ = ["SCHEMA", "Archive", "read_archive", "write_archive"]

FORMAT = "sktgdp model"
SCHEMA = 1
DOCUMENT = "model.json"
KEYS = {"format", "schema", "writer", "tensors", "content", "digest"}
MOST_DOCUMENT_BYTES = 2**25
TENSOR_FILE = re.compile(r"[0-9a-f]{64}\.safetensors")

Read = Callable[[str], bytes]


class Archive(NamedTuple):
    """What a model's files hold."""

    content: Any
    tensors: dict[str, Tensor]
    writer: str


def write_archive(path: str | Path, content: Any, tensors: Mapping[str, Tensor], *, writer: str) -> None:
    """Write a model, or replace one.

    Parameters
    ----------
    path : str or Path
        A zip file if the name ends in ".zip", else a folder. Missing parents are made.
    content : JSON value
        Without NaN and infinity.
    tensors : mapping of str to Tensor
    writer : str
        Version of the package.

    Raises
    ------
    ModelFileError
        If there is something else than a model at the path, or ``content`` is too large.
    """
    path = _checked(path)
    as_zip = path.suffix.lower() == ".zip"
    _refuse_others(path, as_zip)
    data = safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()})
    name = f"{sha256(data).hexdigest()}.safetensors"
    head = {"format": FORMAT, "schema": SCHEMA, "writer": writer, "tensors": name, "content": content}
    document = json.dumps({**head, "digest": _digest(head)}, allow_nan=False, separators=(",", ":")).encode()
    if len(document) > MOST_DOCUMENT_BYTES:
        raise ModelFileError(f"The model has {len(document)} bytes of JSON, over {MOST_DOCUMENT_BYTES}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    (_write_zip if as_zip else _write_folder)(path, {name: data, DOCUMENT: document})


def read_archive(path: str | Path) -> Archive:
    """Read a model's files and check them against their digests.

    Raises
    ------
    ModelFileError
        Whatever is wrong with them.
    """
    path = _checked(path)
    try:
        if path.is_dir():
            return _read(lambda name: _read_file(path / name))
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ModelFileError("is neither a folder nor a file.")
        with path.open("rb") as file:
            return _read(_zip_reader(file, path))
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error.__cause__
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error


def _checked(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise TypeError(f"path must be the name of a folder, or of a file that ends in .zip; got {path!r}.")
    return Path(path)


def _read(read: Read) -> Archive:
    document = _document(read)
    data = read(document["tensors"])
    if sha256(data).hexdigest() != document["tensors"].split(".")[0]:
        raise ModelFileError(f"{document['tensors']} is damaged: its digest is another.")
    try:
        tensors = safetensors.torch.load(data)
    except Exception as error:  # the parser's own errors, and what torch raises on odd shapes
        raise ModelFileError(f"{document['tensors']} is no safetensors file: {error}.") from error
    return Archive(document["content"], tensors, document["writer"])


def _document(read: Read) -> dict[str, Any]:
    """``model.json``, its marks and its digest checked."""
    try:
        document = _parse(read(DOCUMENT))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{DOCUMENT} is not JSON as it should be: {error}.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelFileError(f'{DOCUMENT} lacks the mark "format": "{FORMAT}"; it is of something else.')
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise ModelFileError(f"schema is {schema!r}; expected a number from 1 to {SCHEMA}.")
    if schema > SCHEMA:
        raise ModelFileError(
            f"The model was written by a newer version of the package (schema {schema}, sktgdp "
            f"{document.get('writer')}); this one reads schemas up to {SCHEMA}. Upgrade sktgdp."
        )
    texts = [document.get(key) for key in ("writer", "tensors", "digest")]
    if set(document) != KEYS or not all(isinstance(text, str) for text in texts):
        raise ModelFileError(f"{DOCUMENT} must have the keys {sorted(KEYS)}; got {sorted(document)}.")
    if not TENSOR_FILE.fullmatch(document["tensors"]):
        raise ModelFileError(f"tensors is {document['tensors']!r}, not the name of a file of arrays.")
    if _digest({k: v for k, v in document.items() if k != "digest"}) != document["digest"]:
        raise ModelFileError(f"{DOCUMENT} is damaged: its digest is another.")
    return document


def _digest(head: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(head, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except RecursionError as error:
        raise ModelFileError("The values are nested too deeply.") from error
    return sha256(text.encode()).hexdigest()


def _parse(data: bytes) -> Any:
    """JSON without NaN, infinity, endless numbers and keys that come twice."""

    def number(convert: Callable[[str], Any], text: str) -> Any:
        if len(text) > LONGEST_NUMBER or (value := convert(text)) in (float("inf"), -float("inf")):
            raise ModelFileError(f"{DOCUMENT} holds a number out of range: {text[:LONGEST_NUMBER]}.")
        return value

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) < len(items):
            raise ModelFileError(f"{DOCUMENT} has a key twice among {sorted(key for key, _ in items)}.")
        return dict(items)

    def constant(text: str) -> Any:
        raise ModelFileError(f"{DOCUMENT} holds {text}.")

    return json.loads(
        data.decode("utf-8"),
        parse_int=lambda text: number(int, text),
        parse_float=lambda text: number(float, text),
        parse_constant=constant,
        object_pairs_hook=pairs,
    )


# Folders --------------------------------------------------------------------------------------------
def _read_file(path: Path) -> bytes:
    if not path.exists():
        raise ModelFileError(f"{path.name} is missing.")
    status = path.stat()  # before it is opened: a pipe would wait forever
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(f"{path.name} is no regular file.")
    if path.name == DOCUMENT and status.st_size > MOST_DOCUMENT_BYTES:
        raise ModelFileError(f"{DOCUMENT} has {status.st_size} bytes, over {MOST_DOCUMENT_BYTES}.")
    return path.read_bytes()


def _write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the files; the document comes last."""
    if path.is_dir() and any(path.iterdir()):
        old = [each for each in path.iterdir() if TENSOR_FILE.fullmatch(each.name) and each.name not in files]
        for name, data in files.items():
            _replace(path / name, data)
        for each in old:
            each.unlink(missing_ok=True)
        return
    temporary = _beside(path)
    temporary.mkdir()
    try:
        for name, data in files.items():
            _write_file(temporary / name, data)
        with suppress(FileNotFoundError):
            path.rmdir()  # an empty folder: not every system renames onto one
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _replace(path: Path, data: bytes) -> None:
    """Put a file in place of another in one step."""
    temporary = _beside(path)
    try:
        _write_file(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_file(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:80]}.{secrets.token_hex(8)}.tmp")


def _refuse_others(path: Path, as_zip: bool) -> None:
    """Raise where there is something else than a model, which saving would overwrite."""
    if path.is_symlink() and not path.exists():
        raise ModelFileError(f"{path} is a link to what does not exist. Remove it, or choose another path.")
    folder = next(each for each in path.absolute().parents if each.exists())
    if not folder.is_dir():
        raise ModelFileError(f"{folder} is a file, so {path} cannot be made. Choose another path.")
    if not path.exists() or (not as_zip and path.is_dir() and not any(path.iterdir())):
        return
    try:
        if path.is_dir() == as_zip:
            kinds = ("folder", "no name in .zip") if as_zip else ("file", "a name in .zip")
            raise ModelFileError(f"it is a {kinds[0]}, for which a model needs {kinds[1]}.")
        if as_zip:
            with path.open("rb") as file:
                _document(_zip_reader(file, path))
        else:
            _document(lambda name: _read_file(path / name))
    except (ModelFileError, OSError) as error:
        raise ModelFileError(
            f"{path} exists and is no model of this version of sktgdp ({str(error).rstrip('.')}); it is left "
            "as it is. Choose another path, or remove it."
        ) from error


# Zip files ------------------------------------------------------------------------------------------
def _write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    temporary = _beside(path)
    try:
        with temporary.open("xb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, data in files.items():
                    archive.writestr(zipfile.ZipInfo(name), data)  # without the time: same model, same file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _zip_reader(file: Any, path: Path) -> Read:
    """Reader of entries that are as long as they say, and none of them longer than the file."""
    size = os.fstat(file.fileno()).st_size
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # BadZipFile, and whatever odd numbers in the directory lead to
        raise ModelFileError(f"it is neither a folder nor a zip file: {error}.") from error
    entries = {info.filename: info for info in archive.infolist()}
    others = [name for name in entries if name != DOCUMENT and not TENSOR_FILE.fullmatch(name)]
    if others or len(entries) != 2 or len(archive.infolist()) != 2:
        names = [info.filename for info in archive.infolist()][:5]
        raise ModelFileError(
            f"the zip file must hold {DOCUMENT} and one file of arrays; it holds {names}. Unpack a folder "
            "that was packed by other means, and load the folder."
        )
    for info in entries.values():
        if info.compress_type != zipfile.ZIP_STORED or not info.file_size == info.compress_size <= size:
            raise ModelFileError(f"{info.filename} is compressed or longer than the zip file.")

    def read(name: str) -> bytes:
        if name not in entries:
            raise ModelFileError(f"{name} is missing.")
        if name == DOCUMENT and entries[name].file_size > MOST_DOCUMENT_BYTES:
            raise ModelFileError(f"{DOCUMENT} has over {MOST_DOCUMENT_BYTES} bytes.")
        try:
            return archive.read(name)
        except Exception as error:  # checksums, encryption, headers that contradict the directory
            raise ModelFileError(f"{name} cannot be read: {error}.") from error

    return read
