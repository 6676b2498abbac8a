"""Devices, precision and compilation: what is there is used, what is not there is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from small_models import TINY_NETWORK, tiny_tgdp

from sktgdp import DiffusionGenerator, FineTunedDiffusionGenerator
from sktgdp.estimators._source import moved, on_device
from sktgdp.estimators._training.devices import (
    available_devices,
    can_compile,
    has_fused_optimizer,
    resolve_device,
    rows_for,
    same_device,
)

CPU = torch.device("cpu")
X = np.random.default_rng(0).normal(size=(60, 2))


def tiny(**params: Any) -> DiffusionGenerator:
    return DiffusionGenerator(**{**TINY_NETWORK, "random_state": 0, **params})


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """A machine on which torch finds no C++ compiler, nor what one made before."""
    from torch._inductor import config

    torch._dynamo.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    can_compile.cache_clear()
    yield
    can_compile.cache_clear()
    torch._dynamo.reset()


@pytest.mark.parametrize("device", ["cuda:77", "foo", "cpu:x", "meta"])
def test_devices_that_are_not_there(device: str) -> None:
    with pytest.raises(ValueError, match=f"device='{device}' is not there; this machine has 'cpu'"):
        tiny(device=device).fit(X)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu() -> None:
    with pytest.raises(ValueError, match="device='cuda' is not there"):
        tiny_tgdp(device="cuda").fit(X, None, X[:9])


# A source model of the user's own ------------------------------------------------------------------
TRANSFERS = [tiny_tgdp(source_model=tiny()), FineTunedDiffusionGenerator(tiny(), max_steps=2)]


@pytest.mark.parametrize("model", TRANSFERS, ids=lambda model: type(model).__name__)
def test_the_device_reaches_a_source_model(model: Any) -> None:
    """It is trained where its owner lies, or refused where that is not there."""
    with pytest.raises(ValueError, match="device='cuda:77' is not there"):
        clone(model).set_params(device="cuda:77").fit(X, None, X[:9])
    fitted = clone(model).set_params(device="cpu").fit(X, None, X[:9])
    assert fitted.source_model.device == "auto"
    assert fitted.source_model_.device == "cpu"
    assert fitted.device_ == fitted.source_model_.device_ == CPU


def test_a_device_of_its_own_is_the_source_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is trained there and moved afterwards; the classifier lies beside the generator."""
    trained, train = [], DiffusionGenerator.fit

    def fit(model: DiffusionGenerator, *args: Any, **options: Any) -> DiffusionGenerator:
        trained.append(model.device)
        return train(model, *args, **options)

    monkeypatch.setattr(DiffusionGenerator, "fit", fit)
    fitted = tiny_tgdp(source_model=tiny(device="cpu:0"), device="cpu").fit(X, None, X[:9])
    assert trained == ["cpu:0"]
    assert fitted.device_.type == "cpu"
    assert fitted.domain_classifier_.device == str(fitted.device_)


def test_a_model_is_copied_to_another_device() -> None:
    """The user's own stays where it is."""
    model, there = tiny().fit(X), torch.device("meta")  # a device of every machine
    assert on_device(model, "auto") is on_device(model, "cpu") is on_device(model, "cpu:0") is model
    copied = moved(model, there)
    assert copied.device_ == there
    assert {p.device for p in copied.network_.parameters()} == {there}
    assert {p.device for p in model.network_.parameters()} == {model.device_} == {CPU}


def test_names_of_one_device() -> None:
    names = {name: torch.device(name) for name in ("cpu", "cuda", "cuda:0", "cuda:1")}
    assert same_device(names["cuda"], names["cuda:1"])
    assert not same_device(names["cuda:0"], names["cuda:1"])
    assert not same_device(names["cpu"], names["cuda"])


def test_what_is_there() -> None:
    assert resolve_device("cpu") == CPU
    assert str(resolve_device("auto")).split(":")[0] in {name.split(":")[0] for name in available_devices()}
    assert all(resolve_device(name) == torch.device(name) for name in available_devices())


def test_fused_optimizer() -> None:
    on_cpus_since = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4)
    assert has_fused_optimizer(CPU) == on_cpus_since


@pytest.mark.usefixtures("global_rng_untouched")
def test_bfloat16_is_finite_and_another_precision(few: tuple[Any, ...]) -> None:
    single, half = (tiny_tgdp(precision=name, eta_consistency=1.0).fit(*few) for name in ("fp32", "bf16"))
    assert np.isfinite(half.sample(50, random_state=0)[0]).all()
    losses = [[row["train_loss"] for row in model.history_] for model in (single, half)]
    assert np.isfinite(losses[1]).all()
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.2, atol=0.05)
    assert {p.dtype for p in half.guidance_.parameters()} == {torch.float32}


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_the_fit_says_so_and_goes_on() -> None:
    with pytest.warns(UserWarning, match="compile=True has no effect.*compiler") as caught:
        compiled = tiny(compile=True).fit(X)
    assert sum("compile=True" in str(each.message) for each in caught) == 1
    np.testing.assert_array_equal(compiled.sample(9)[0], tiny().fit(X).sample(9)[0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_training_learns_the_same() -> None:
    if not can_compile(CPU):
        pytest.skip("no compiler")
    compiled, plain = tiny(compile=True).fit(X), tiny().fit(X)
    losses = [[row["train_loss"] for row in model.history_] for model in (compiled, plain)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    np.testing.assert_allclose(compiled.sample(9)[0], plain.sample(9)[0], atol=1e-2)


@pytest.mark.gpu
def test_training_on_a_gpu() -> None:
    model = tiny(device="cuda", precision="bf16").fit(X)
    first, again = (model.sample(20, random_state=0)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()


@pytest.mark.gpu
def test_rows_that_do_not_fit_stay_in_host_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of theirs is the same, and lies on the GPU."""
    cuda = torch.device("cuda")
    fit = tiny(device="cuda").fit(X)
    monkeypatch.setattr("sktgdp.estimators._training.devices.ROWS_SHARE", 0.0)
    assert rows_for(torch.zeros(9, 2), cuda).device == CPU
    np.testing.assert_allclose(tiny(device="cuda").fit(X).sample(9)[0], fit.sample(9)[0], atol=1e-4)
