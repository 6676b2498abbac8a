"""Networks in a model's files: how each was made, and its weights.

A network is made again from what is on the list below, or from what the reader of the file has given, by
name. Before that it is made without memory, to compare the shapes that the file asks for with the arrays that
the file has.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sktgdp import nets
from sktgdp._storage import Fields, Kind, Reader, Writer
from sktgdp.exceptions import ModelFileError, NotStorableError
from sktgdp.nets._architecture import Architecture, architecture_of

__all__ = ["NETWORK_KINDS"]

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    make.__name__: make
    for make in (
        nets.DiagonalSSM,
        nets.DomainConv,
        nets.DomainMLP,
        nets.GuidanceConv,
        nets.GuidanceMLP,
        nets.SSSDECG,
        nets.ScoreConv,
        nets.ScoreMLP,
        nets.XResNet1d,
        nets.xresnet1d50,
        nets.xresnet1d_small,
    )
}
# Arguments that say how many parts there are; each part has a weight at least.
COUNTS = ("n_blocks", "layers")
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (
    torch.float32, torch.float64, torch.float16, torch.bfloat16)}  # fmt: skip


# Classes and functions ------------------------------------------------------------------------------
def _is_callable(value: Any) -> bool:
    return isinstance(value, type | types.FunctionType)


def _write_callable(writer: Writer, value: Any, where: str) -> dict[str, Any]:
    own = BUILDERS.get(value.__name__) is value
    return {"name": value.__name__} if own else {"name": value.__name__, "trusted": True}


def _read_callable(reader: Reader, fields: Fields) -> Any:
    name = fields.text("name")
    if not fields.optional("trusted"):
        if name not in BUILDERS:
            raise ModelFileError(f"{fields.where}: {name!r} is no network of this version of sktgdp.")
        return BUILDERS[name]
    if name not in reader.trusted:
        raise ModelFileError(
            f"{fields.where} is {name!r}, of the model's author's own. Give it if you have it and trust it: "
            f"load(path, trusted=[{name}])."
        )
    return reader.trusted[name]


def _write_partial(writer: Writer, value: functools.partial[Any], where: str) -> dict[str, Any]:
    return {
        "of": writer.write(value.func, where),
        "args": writer.write(list(value.args), where),
        "keywords": writer.write(value.keywords, where),
    }


def _read_partial(reader: Reader, fields: Fields) -> functools.partial[Any]:
    function, args, keywords = (reader.read(fields.any(k), fields.where) for k in ("of", "args", "keywords"))
    if not _is_callable(function) or not isinstance(args, list) or not isinstance(keywords, dict):
        raise ModelFileError(f"{fields.where} is no function with arguments.")
    return functools.partial(function, *args, **keywords)


# Networks -------------------------------------------------------------------------------------------
def _write_network(writer: Writer, network: nn.Module, where: str) -> dict[str, Any]:
    architecture = architecture_of(network)
    if architecture is None:
        raise NotStorableError(
            f"{where}: how this {type(network).__name__} was made is not known. Fit the estimator anew."
        )
    weights = network.state_dict()
    dtype = next((t.dtype for t in weights.values() if t.is_floating_point()), torch.float32)
    _check_storable(weights, architecture, dtype, where)
    for name, weight in weights.items():
        writer.add(f"{where}.{name}", weight)
    return {
        "make": writer.write(architecture.make, where),
        "args": writer.write(list(architecture.args), where),
        "keywords": writer.write(architecture.keywords, where),
        "dtype": str(dtype).removeprefix("torch."),
        "weights": where,
    }


def _check_storable(
    weights: Mapping[str, Tensor], architecture: Architecture, dtype: torch.dtype, where: str
) -> None:
    """Raise where the network could not be made again as it is."""
    other = {name for name, t in weights.items() if t.is_floating_point() and t.dtype != dtype}
    infinite = [name for name, t in weights.items() if not torch.isfinite(t).all()]
    if infinite:
        raise NotStorableError(
            f"{where} has weights that are not finite, {infinite[:3]}: the fit has diverged."
        )
    if other or dtype not in DTYPES.values():
        raise NotStorableError(f"{where} has weights of several dtypes, or of {dtype}.")
    made = _without_memory(architecture, dtype).state_dict()
    if _shapes(made) != _shapes(weights):
        name = getattr(architecture.make, "__name__", architecture.make)
        raise NotStorableError(f"{where} is not what {name} makes: its layers were changed afterwards.")


def _without_memory(architecture: Architecture, dtype: torch.dtype) -> nn.Module:
    with torch.device("meta"):
        return architecture().to(dtype)


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[Any, ...]]:
    return {name: (tensor.dtype, *tensor.shape) for name, tensor in weights.items()}


def _read_network(reader: Reader, fields: Fields) -> nn.Module:
    where = fields.where
    make, args, keywords = (reader.read(fields.any(k), f"{where}.{k}") for k in ("make", "args", "keywords"))
    dtype = DTYPES[fields.text("dtype")]
    if not callable(make) or not isinstance(args, list) or not isinstance(keywords, dict):
        raise ModelFileError(f"{where} does not say how it was made.")
    n_parts = sum(_counts(keywords)) + len(args)
    if n_parts > reader.n_tensors:
        raise ModelFileError(f"{where} asks for {n_parts} layers; the file has {reader.n_tensors} arrays.")
    architecture = Architecture(make, tuple(args), keywords)
    expected = _shapes(_without_memory(architecture, dtype).state_dict())
    prefix = fields.text("weights")
    weights = {name: reader.take(f"{prefix}.{name}", where) for name in expected}
    if _shapes(weights) != expected:
        wrong = [name for name, shape in _shapes(weights).items() if shape != expected[name]]
        raise ModelFileError(f"{where} has weights of other shapes than it asks for: {wrong[:3]}.")
    if not all(torch.isfinite(weight).all() for weight in weights.values()):
        raise ModelFileError(f"{where} has weights that are not finite.")
    with torch.random.fork_rng(devices=[]):  # what it draws is overwritten
        network = architecture().to(dtype)
    network.load_state_dict(weights)
    network._made_by = architecture  # type: ignore[assignment]
    return network.to(reader.device).eval().requires_grad_(False)


def _counts(keywords: Mapping[str, Any]) -> Iterator[int]:
    """Numbers of parts that a network's arguments ask for."""
    for name, value in keywords.items():
        sizes = list(value) if isinstance(value, tuple | list) else [value]
        if name in COUNTS:
            yield from (size for size in sizes if isinstance(size, int))
        yield len(sizes) - 1


def _write_mean(writer: Writer, network: nets.MeanOf, where: str) -> dict[str, Any]:
    return {"members": writer.write(list(network.members), where)}


def _read_mean(reader: Reader, fields: Fields) -> nn.Module:
    members = reader.read(fields.items("members"), fields.where)
    if not members or not all(isinstance(member, nn.Module) for member in members):
        raise ModelFileError(f"{fields.where}.members must be networks.")
    return nets.MeanOf(members).eval().requires_grad_(False)


NETWORK_KINDS = (
    Kind("callable", _is_callable, _write_callable, _read_callable),
    Kind("partial", lambda v: isinstance(v, functools.partial), _write_partial, _read_partial),
    Kind("mean", lambda v: isinstance(v, nets.MeanOf), _write_mean, _read_mean, shared=True),
    Kind("network", lambda v: isinstance(v, nn.Module), _write_network, _read_network, shared=True),
    Kind("device", lambda v: isinstance(v, torch.device), lambda w, v, at: {}, lambda r, f: r.device),
)
