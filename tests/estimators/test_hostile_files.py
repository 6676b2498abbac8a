"""Files that no `save` wrote: each is a named error, executes nothing and allocates nothing large."""

from __future__ import annotations

import copy
import json
import os
import pickle
import resource
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import TINY_NETWORK, tiny_tgdp
from test_frames import SOURCE, TARGET, Y_SOURCE, Y_TARGET

import sktgdp
from sktgdp import DiffusionGenerator
from sktgdp._storage import Archive, read_archive, write_archive
from sktgdp.estimators._state import persistence as _persistence
from sktgdp.exceptions import ModelFileError

ROWS = np.random.default_rng(0).normal(size=(40, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model, as a folder."""
    path = tmp_path_factory.mktemp("models") / "model"
    DiffusionGenerator(**TINY_NETWORK).fit(ROWS, ROWS[:, 0] > 0).save(path)
    return path


@pytest.fixture(scope="module")
def archives(folder: Path) -> list[Archive]:
    """What is in the files of a model of an array, and of one of frames."""
    path = folder.parent / "frames"
    tiny_tgdp(n_networks=1, eta_cycle=1.0).fit(SOURCE, Y_SOURCE, TARGET, Y_TARGET).save(path)
    return [read_archive(folder), read_archive(path)]


def load_content(content: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Load values as if they came out of files that are in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_persistence, "read_archive", lambda path: Archive(content, tensors, "0"))
        return sktgdp.load("somewhere", device="cpu")


# Values ---------------------------------------------------------------------------------------------
def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are values in JSON, as keys from the top."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*at, key))


def with_value(content: Any, at: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at a place."""
    if not at:
        return value
    content = copy.deepcopy(content)
    inside = content
    for key in at[:-1]:
        inside = inside[key]
    inside[at[-1]] = value
    return content


def value_at(content: Any, at: tuple[Any, ...]) -> Any:
    for key in at:
        content = content[key]
    return content


NUMBERS = st.one_of(
    st.integers(-3, 70), st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**39]),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=5))
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(
    max_examples=150, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_any_value_anywhere(archives: list[Archive], data: st.DataObject) -> None:
    """Replace a value by another one, or by one from elsewhere in the file: a model or a ModelFileError."""
    content, tensors, _ = archives[data.draw(st.integers(0, 1))]
    everywhere = list(places(content))
    at = data.draw(st.sampled_from(everywhere))
    elsewhere = st.sampled_from(everywhere).map(lambda other: value_at(content, other))
    value = data.draw(JSON | elsewhere)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = load_content(with_value(content, at, value), tensors)
        except ModelFileError:
            return
        assert hasattr(model, "save")


TUPLES = [{"type": "tuple", "of": sizes} for sizes in ([10**9], [2] * 10**5, [2**62, 2**62])]
SIZES = {"event_shape": TUPLES, "hidden_sizes": TUPLES, "n_labels": [10**9, 2**62]}


@pytest.mark.parametrize("size", SIZES)
def test_huge_networks_are_refused_before_they_are_made(archives: list[Archive], size: str) -> None:
    content, tensors, _ = archives[0]
    assert size in content["state"]["network_"]["keywords"]["of"]
    for asked in SIZES[size]:
        at = ("state", "network_", "keywords", "of", size)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ModelFileError):
            load_content(with_value(content, at, asked), tensors)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kilobytes"


def test_deep_nesting_and_rings(archives: list[Archive]) -> None:
    content, tensors, _ = archives[0]
    deep: Any = None
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ModelFileError, match="recursion"):
        load_content({**content, "params": {"random_state": deep}}, tensors)
    ring = {"type": "tuple", "of": [{"type": "same", "as": 77}], "id": 77}
    with pytest.raises(ModelFileError, match="77, which has not come yet"):
        load_content(with_value(content, ("params", "random_state"), ring), tensors)


Tensors = dict[str, torch.Tensor]
BAD_TENSORS: dict[str, tuple[Callable[[Tensors, str], Any], str]] = {
    "missing": (lambda all_, name: all_.pop(name), "missing"),
    "left over": (lambda all_, name: all_.update(more=torch.zeros(2)), "belong to nothing"),
    "shape": (lambda all_, name: all_.update({name: torch.zeros(3, 3, 3)}), "shape"),
    "dtype": (lambda all_, name: all_.update({name: all_[name].to(torch.int32)}), "int32|other shapes"),
    "nan": (lambda all_, name: all_[name].reshape(-1)[:1].fill_(torch.nan), "not finite|not what belongs"),
}


@pytest.mark.parametrize("name", ["model.network_.trunk.layers.0.weight", "model.transformer_.scale_"])
@pytest.mark.parametrize(("change", "message"), BAD_TENSORS.values(), ids=BAD_TENSORS)
def test_tensors_that_do_not_fit(archives: list[Archive], change: Any, message: str, name: str) -> None:
    content, tensors, _ = archives[0]
    tensors = {key: tensor.clone() for key, tensor in tensors.items()}
    change(tensors, name)
    with pytest.raises(ModelFileError, match=message):
        load_content(content, tensors)


# Files ----------------------------------------------------------------------------------------------
class Bomb:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def tensor_file(folder: Path) -> Path:
    return next(folder.glob("*.safetensors"))


def copied(folder: Path, to: Path) -> Path:
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def test_pickles_are_not_opened(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(trace))
    model = copied(folder, tmp_path / "model")
    for file in (model / "model.json", tensor_file(model)):
        good = file.read_bytes()
        file.write_bytes(bomb)
        with pytest.raises(ModelFileError):
            sktgdp.load(model)
        file.write_bytes(good)
    torch.save({"a": Bomb(trace)}, tmp_path / "model.zip")
    with pytest.raises(ModelFileError, match="the zip file must hold"):
        sktgdp.load(tmp_path / "model.zip")
    (tmp_path / "model.pkl").write_bytes(bomb)
    with pytest.raises(ModelFileError, match="neither a folder nor a zip file"):
        sktgdp.load(tmp_path / "model.pkl")
    assert not trace.exists()
    sktgdp.load(model)


def zipped(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_zip_files_that_reach_out_or_swell(folder: Path, tmp_path: Path) -> None:
    entries = {file.name: file.read_bytes() for file in folder.iterdir()}
    document, arrays = entries["model.json"], tensor_file(folder).name
    slips = [{"../evil": b"x"}, {"/tmp/evil": b"x"}, {"model.json/../../evil": b"x"}, {"..\\evil": b"x"}]
    for slip in slips:
        with pytest.raises(ModelFileError, match="the zip file must hold"):
            sktgdp.load(zipped(tmp_path / "slip.zip", entries | slip))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["slip.zip"], "nothing was unpacked"
    bomb = zipped(tmp_path / "bomb.zip", {"model.json": document, arrays: bytes(10**8)}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 10**6
    with pytest.raises(ModelFileError, match="compressed"):
        sktgdp.load(bomb)
    with pytest.raises(ModelFileError, match="must hold"):
        sktgdp.load(zipped(tmp_path / "half.zip", {"model.json": document}))
    twice = zipped(tmp_path / "twice.zip", entries)
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("model.json", document)
    with pytest.raises(ModelFileError, match="must hold"):
        sktgdp.load(twice)


def header(size: int, text: bytes) -> bytes:
    return struct.pack("<Q", size) + text


HUGE = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
ARRAYS = {
    "huge header": header(2**62, b"{}"),
    "huge array": header(len(HUGE), HUGE),
    "no header": b"",
    "no JSON": header(4, b"\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("data", ARRAYS.values(), ids=ARRAYS)
def test_arrays_that_are_said_to_be_huge(folder: Path, tmp_path: Path, data: bytes) -> None:
    """With a name and a document that go with them, so that digests do not give them away."""
    from hashlib import sha256

    from sktgdp._storage import _archive

    model = copied(folder, tmp_path / "model")
    document = json.loads((model / "model.json").read_bytes())
    document["tensors"] = f"{sha256(data).hexdigest()}.safetensors"
    del document["digest"]
    (model / document["tensors"]).write_bytes(data)
    (model / "model.json").write_text(json.dumps({**document, "digest": _archive._digest(document)}))
    with pytest.raises(ModelFileError, match="no safetensors file"):
        sktgdp.load(model)


DOCUMENTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "foreign": (lambda text: b'{"name": "something"}', "of something else"),
    "newer": (lambda text: text.replace(b'"schema":1', b'"schema":2'), r"newer version .*schema 2.*Upgrade"),
    "schema of text": (lambda text: text.replace(b'"schema":1', b'"schema":"1"'), "schema is '1'"),
    "cut": (lambda text: text[:-100], "not JSON"),
    "NaN": (lambda text: text.replace(b'"schema":1', b'"schema":NaN'), "holds NaN"),
    "overflow": (lambda text: text.replace(b'"schema":1', b'"schema":1e999'), "out of range"),
    "long number": (lambda text: text.replace(b'"schema":1', b'"schema":' + b"1" * 9999), "out of range"),
    "twice": (lambda text: text.replace(b'"schema":1', b'"schema":1,"schema":1'), "key twice"),
    "deep": (lambda text: b"[" * 10**6, "not JSON"),
    "no text": (lambda text: b"\xff" + text, "not JSON"),
    "other values": (lambda text: text.replace(b'"max_steps":2', b'"max_steps":3'), "digest is another"),
    "slip": (lambda text: text.replace(b'"tensors":"', b'"tensors":"../'), "not the name of a file"),
}


@pytest.mark.parametrize(("change", "message"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents_that_are_no_model(folder: Path, tmp_path: Path, change: Any, message: str) -> None:
    model = copied(folder, tmp_path / "model")
    text = (model / "model.json").read_bytes()
    (model / "model.json").write_bytes(change(text))
    with pytest.raises(ModelFileError, match=message):
        sktgdp.load(model)


@pytest.mark.parametrize("text", ["1", "0x1_0", " 0x1", "0xg", "0X1"])
def test_long_integers_are_written_in_one_way(text: str) -> None:
    with pytest.raises(ModelFileError, match="integer"):
        load_content({"type": "integer", "value": text}, {})


def test_missing_and_odd_paths(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read: No such file"):
        sktgdp.load(tmp_path / "none")
    with pytest.raises(ModelFileError, match=r"model\.json|cannot be read"):
        sktgdp.load(tmp_path)
    model = copied(folder, tmp_path / "model")
    arrays = tensor_file(model)
    arrays.unlink()
    os.mkfifo(arrays)
    with pytest.raises(ModelFileError, match="no regular file"):
        sktgdp.load(model)


@settings(
    max_examples=150, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(data=st.data())
def test_any_byte_changed(folder: Path, data: st.DataObject) -> None:
    """Bytes changed, cut or put in, anywhere in the zip file: a ModelFileError, or the model itself."""
    path = folder.parent / "mutated.zip"
    content, tensors, writer = read_archive(folder)
    path.unlink(missing_ok=True)
    write_archive(path, content, tensors, writer=writer)
    good = path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    ends = {"change": at + 1, "cut": at + data.draw(st.integers(1, 50)), "add": at}
    end = ends[data.draw(st.sampled_from(sorted(ends)))]
    path.write_bytes(good[:at] + data.draw(st.binary(max_size=4)) + good[end:])
    try:
        archive = read_archive(path)
    except ModelFileError:
        return
    assert archive.content == content
    for name, tensor in tensors.items():
        assert archive.tensors[name].numpy().tobytes() == tensor.numpy().tobytes()
