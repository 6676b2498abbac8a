"""Solvers against exact flows: orders of convergence, laws of the stochastic ones, the loop's contract."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from sktgdp import solvers
from sktgdp.oracles import GaussianMixture, paper_mixture_shift
from sktgdp.process import VPProcess
from sktgdp.solvers import SOLVERS, Solver, sample, time_grid

PROCESS = VPProcess()
DETERMINISTIC = [name for name, solver in SOLVERS.items() if not solver.stochastic]
STOCHASTIC = [name for name, solver in SOLVERS.items() if solver.stochastic]
GAUSSIAN = GaussianMixture([1.0], [[0.7]], [0.3])
BIMODAL = GaussianMixture([0.35, 0.65], [[-1.1], [0.6]], [0.2, 0.3])
T_START, T_END = 0.6, 0.1


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def slopes(errors: list[float], steps: list[int]) -> float:
    """The order of convergence: minus the slope of the fitted line, log error against log steps."""
    return -float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


def uneven_grid(process: VPProcess, n_points: int, *, t_start: float, t_end: float) -> Tensor:
    """Steps of lengths 1, 2, 1, 2 ...: on smooth grids formulas that ignore the ratio pass for right."""
    lengths = torch.tensor([1.0, 2.0], dtype=torch.float64).repeat(n_points)[: n_points - 1]
    u = torch.cat([lengths.new_zeros(1), lengths.cumsum(0) / lengths.sum()])
    ends = process.log_snr_half(torch.tensor([t_start, t_end], dtype=torch.float64))
    times = process.inverse_log_snr_half(ends[0] + (ends[1] - ends[0]) * u)
    times[0], times[-1] = t_start, t_end
    return times


# Deterministic solvers ------------------------------------------------------------------------------
@pytest.mark.parametrize("grid", [None, uneven_grid], ids=["smooth", "uneven"])
@pytest.mark.parametrize("oracle", [GAUSSIAN, BIMODAL], ids=["gaussian", "bimodal"])
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_order_of_convergence(
    name: str, oracle: GaussianMixture, grid: Callable[..., Tensor] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if grid is not None:
        monkeypatch.setattr(solvers, "time_grid", grid)
    x_T = column(-2.0, -0.5, 0.3, 1.0, 2.0)
    exact = oracle.flow(x_T, T_START, T_END)
    # where predictor and corrector err in opposite directions, their order shows later
    steps, errors = [128, 256, 512] if SOLVERS[name].correct else [32, 64, 128], []
    for n in steps:
        options = {"n_steps": n, "t_start": T_START, "t_end": T_END, "denoise": False}
        x = sample(oracle.noise, x_T, process=PROCESS, solver=name, **options)
        errors.append((x - exact).abs().max().item())
    assert slopes(errors, steps) == pytest.approx(SOLVERS[name].order, abs=0.2)


def test_ddim_is_the_first_order_solver() -> None:
    x_T = column(-2.0, 0.1, 3.0)
    ddim, first = (sample(BIMODAL.noise, x_T, process=PROCESS, solver=s) for s in ("ddim", "dpm++1"))
    torch.testing.assert_close(ddim, first, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "n_steps", "tolerance"),
    [
        ("ddim", 25, 0.08),
        ("dpm++2m", 10, 0.08),
        ("dpm++2m", 25, 0.013),
        ("dpm++3m", 25, 0.005),
        ("unipc", 10, 0.013),
    ],
)
def test_law_at_few_steps(name: str, n_steps: int, tolerance: float) -> None:
    """Wasserstein-2 distance to the data's law, of unit variance, through the quantiles."""
    data = BIMODAL.standardized(BIMODAL.mean, BIMODAL.std)
    x_T = torch.special.ndtri((torch.arange(200, dtype=torch.float64) + 0.5) / 200)[:, None]
    x0 = sample(data.noise, x_T, process=PROCESS, solver=name, n_steps=n_steps)
    exact = data.flow(x_T, 1.0, 0.0)
    assert (x0 - exact).square().mean().sqrt() < tolerance


# Stochastic solvers ---------------------------------------------------------------------------------
def moments(name: str, n_steps: int) -> tuple[float, float]:
    """Mean and variance of what the solver makes of x_T ~ N(0.8, 0.2), without Monte Carlo error.

    For Gaussian data every step is affine, so that the variance is the sum of the squared responses to a
    unit of each noise: row 0 gets none, row 1 a deviation of x_T, row 2 + i the noise of step i.
    """
    x_T = torch.full((n_steps + 2, 1), 0.8, dtype=torch.float64)
    x_T[1] += math.sqrt(0.2)
    calls = iter(range(2, n_steps + 2))

    def noise(x: Tensor) -> Tensor:
        z = torch.zeros_like(x)
        z[next(calls)] = 1.0
        return z

    options = {"n_steps": n_steps, "t_start": 0.4, "t_end": T_END, "denoise": False}
    x = sample(GAUSSIAN.noise, x_T, process=PROCESS, solver=name, generator=noise, **options)
    return x[0].item(), (x[1:] - x[0]).square().sum().item()


def exact_moments() -> tuple[float, float]:
    """Those of the reverse-time equation: regression of x_t on x_s."""
    s, t = torch.tensor([0.4, T_END], dtype=torch.float64)
    alpha_s, alpha_t = PROCESS.alpha(s), PROCESS.alpha(t)
    var_s, var_t = (PROCESS.alpha(u) ** 2 * 0.3 + PROCESS.sigma(u) ** 2 for u in (s, t))
    gain = alpha_s / alpha_t * var_t / var_s
    mean = alpha_t * 0.7 + gain * (0.8 - alpha_s * 0.7)
    return mean.item(), (var_t - gain**2 * var_s + gain**2 * 0.2).item()


@pytest.mark.parametrize("name", STOCHASTIC)
def test_weak_order(name: str) -> None:
    steps = [32, 64, 128]
    mean, variance = exact_moments()
    found = [moments(name, n) for n in steps]
    order = SOLVERS[name].order
    assert slopes([abs(v - variance) for _, v in found], steps) == pytest.approx(order, abs=0.2)
    errors = [abs(m - mean) for m, _ in found]
    if name == "euler-maruyama":
        assert slopes(errors, steps) == pytest.approx(1.0, abs=0.2)
    else:  # the expected x0_hat stays put along the reverse equation, and these solvers are exact for it
        assert max(errors) < 1e-12


def test_ancestral_step_draws_from_the_posterior() -> None:
    """q(x_t | x_s, x0) from the joint Gaussian law of x_t and x_s given x0."""
    x_s, x0, z = 0.7, -0.4, 1.3
    times = torch.tensor([0.6, 0.3], dtype=torch.float64)
    (a_s, a_t), (s_s, s_t) = PROCESS.alpha(times).tolist(), PROCESS.sigma(times).tolist()
    gain = (a_s / a_t) * s_t**2 / s_s**2
    mean = a_t * x0 + gain * (x_s - a_s * x0)
    expected = mean + math.sqrt(s_t**2 - gain**2 * s_s**2) * z
    x = sample(
        lambda x, t: (x - a_s * x0) / s_s,
        column(x_s),
        process=PROCESS,
        solver="ancestral",
        n_steps=1,
        generator=lambda x: torch.full_like(x, z),
        t_start=0.6,
        t_end=0.3,
        denoise=False,
    )
    assert x.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", STOCHASTIC)
@pytest.mark.usefixtures("global_rng_untouched")
def test_generator_decides(name: str) -> None:
    def draw(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return sample(BIMODAL.noise, x_T, process=PROCESS, solver=name, n_steps=5, generator=generator)

    x_T = column(0.0, 1.0)
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


# The loop -------------------------------------------------------------------------------------------
def test_time_grid_is_wide_where_rows_are_noise_and_uniform_after() -> None:
    times = time_grid(PROCESS, 26)
    assert (times[0], times[-1]) == (1.0, PROCESS.t_min)
    lam = PROCESS.log_snr_half(times)
    u = torch.exp(torch.asinh((lam - solvers.GRID_CENTRE) / solvers.GRID_WIDTH))
    torch.testing.assert_close(u.diff(), u.diff().mean().expand(25), rtol=1e-9, atol=0.0)
    steps = lam.diff()
    assert (steps.diff() < 0).all()
    assert steps[0] > 4 * steps[-1]
    assert steps[lam[:-1] > 0].max() < 1.05 * steps[-1]
    assert time_grid(PROCESS, 1).tolist() == [1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SOLVERS)
def test_dtype_shape_and_calls(name: str, dtype: torch.dtype) -> None:
    seen = []

    def model(x: Tensor, t: Tensor) -> Tensor:
        assert t.shape == ()
        assert x.dtype == t.dtype == dtype
        assert not torch.is_grad_enabled()
        seen.append(t.item())
        return x * PROCESS.sigma(t)

    x_T = torch.randn(3, 2, 5, dtype=dtype, requires_grad=True)
    x0 = sample(model, x_T, process=PROCESS, solver=name, n_steps=6)
    assert x0.shape == x_T.shape
    assert x0.dtype == dtype
    assert not x0.requires_grad
    assert len(seen) == {"dpm++2s": 11, "dpm++3m": 7}.get(name, 6)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == pytest.approx(PROCESS.t_min)


@pytest.mark.parametrize("name", SOLVERS)
def test_float32_agrees_with_float64(name: str) -> None:
    x_T = torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)[:, None]
    options = {"process": PROCESS, "solver": name, "generator": torch.ones_like}
    single, double = (sample(BIMODAL.noise, x, **options) for x in (x_T.float(), x_T))
    torch.testing.assert_close(single.double(), double, rtol=0.0, atol=2e-4)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_last_step_removes_the_noise(name: str) -> None:
    """Of data on two points every sample is one of them; without the last step it is 0.01 away."""
    points = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [1e-12, 1e-12])
    x_T = column(-2.0, -1.0, 1.0, 2.0)
    x0 = sample(points.noise, x_T, process=PROCESS, solver=name)
    torch.testing.assert_close(x0, x_T.sign(), rtol=0.0, atol=1e-9)
    x = sample(points.noise, x_T, process=PROCESS, solver=name, denoise=False)
    assert 1e-3 < (x - x_T.sign()).abs().max() < 0.03


def test_one_step_is_the_data_prediction() -> None:
    x_T = column(-1.0, 0.5)
    for name in SOLVERS:
        x0 = sample(GAUSSIAN.noise, x_T, process=PROCESS, solver=name, n_steps=1)
        torch.testing.assert_close(x0, torch.full_like(x0, 0.7), rtol=0.0, atol=0.01)


def test_a_model_may_take_gradients() -> None:
    """Guidance switches gradients on inside the loop that has them off."""

    def model(x: Tensor, t: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (score,) = torch.autograd.grad(BIMODAL.log_prob_at(x, t).sum(), x)
        return -PROCESS.sigma(t) * score

    x_T = column(-1.0, 2.0)
    by_gradient, closed_form = (sample(f, x_T, process=PROCESS) for f in (model, BIMODAL.noise))
    torch.testing.assert_close(by_gradient, closed_form, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("name", SOLVERS)
def test_true_guidance_samples_the_target(name: str, labelled: bool) -> None:
    """Theorem 3.1: source noise - sigma grad log E[q/p | x_t] is the target's noise, on the whole path."""
    shift = paper_mixture_shift()
    x_T, y = shift.target.sample(6, torch.Generator().manual_seed(0))
    y = y if labelled else None

    def guided(x: Tensor, t: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(shift.log_guidance(x, t, y).sum(), x)
        return shift.source.noise(x.detach(), t, y) - PROCESS.sigma(t) * gradient

    def target(x: Tensor, t: Tensor) -> Tensor:
        return shift.target.noise(x, t, y)

    options = {"process": PROCESS, "solver": name, "generator": lambda x: torch.ones_like(x) / 2}
    found, expected = (sample(f, x_T, **options) for f in (guided, target))
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-9)


def test_adding_a_solver_is_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def jump(x: Tensor, iv: solvers.Interval) -> Tensor:
        return iv.end.alpha * iv.x0

    monkeypatch.setitem(SOLVERS, "jump", Solver(jump, order=0))
    x0 = sample(GAUSSIAN.noise, column(1.0), process=PROCESS, solver="jump")
    assert torch.isfinite(x0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "heun"}, "unknown solver 'heun'.*'ddim'.*'sde-dpm\\+\\+2m'"),
        ({"n_steps": 0}, "n_steps must be an integer of at least 1; got 0"),
        ({"t_start": 1e-3}, "t_end < t_start"),
        ({"t_end": 0.0}, "0 < t_end"),
    ],
)
def test_errors(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample(GAUSSIAN.noise, column(1.0), process=PROCESS, **options)


def test_prediction_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape of x, \(2, 1\); got \(2,\)"):
        sample(lambda x, t: x[:, 0], column(1.0, 2.0), process=PROCESS)


# An independent implementation ----------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "order", "algorithm"),
    [("dpm++1", 1, "dpmsolver++"), ("dpm++2m", 2, "dpmsolver++"), ("sde-dpm++2m", 2, "sde-dpmsolver++")],
)
def test_agrees_with_diffusers(name: str, order: int, algorithm: str) -> None:
    """The same path on the same noise levels. (Its third order lacks a factor 2 and converges at order 2.)"""
    scheduling = pytest.importorskip("diffusers.schedulers.scheduling_dpmsolver_multistep")
    n_steps = 20
    scheduler = scheduling.DPMSolverMultistepScheduler(
        solver_order=order, algorithm_type=algorithm, final_sigmas_type="zero"
    )
    scheduler.set_timesteps(n_steps)
    times = time_grid(PROCESS, n_steps)
    noise_to_signal = torch.exp(-PROCESS.log_snr_half(times))
    scheduler.sigmas = torch.cat([noise_to_signal, torch.zeros(1)]).float()
    x = x_T = column(-1.5, 0.2, 2.0)
    z = torch.full_like(x, 0.6)
    for t, step in zip(times, scheduler.timesteps, strict=True):
        x = scheduler.step(BIMODAL.noise(x, t), step, x, variance_noise=z).prev_sample
    ours = sample(BIMODAL.noise, x_T, process=PROCESS, solver=name, n_steps=n_steps, generator=lambda x: z)
    torch.testing.assert_close(ours, x, rtol=0.0, atol=2e-4)
