"""
Choosing steps and solver
=========================

How many steps does a sample need, and does a better solver save some?

A sample follows a differential equation from noise to a row. A solver takes it there in steps; what it gets
wrong falls with the number of steps, the faster the higher the solver's order. ``sample`` takes ``solver``
and ``n_steps`` without a new fit.
"""

# %%
# One model, many solvers
# -----------------------
# Deterministic solvers that start from the same noise aim at the same row. So the error of each can be
# measured row by row, against a path with far more steps.
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np

from sktgdp import DiffusionGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.metrics import sliced_wasserstein_distance
from sktgdp.solvers import SOLVERS

X_src, y_src, X_tgt, y_tgt = make_gaussian_mixture_shift(5000, 2000, random_state=0)
gen = DiffusionGenerator(max_steps=800, batch_size=128, random_state=0).fit(X_src)
reference, _ = gen.sample(300, solver="dpm++3m", n_steps=200, random_state=0)

# %%
# Error by number of calls
# ------------------------
# Time goes with the calls of the network, and a solver with two calls per step gets half the steps.
budgets = np.array([6, 10, 16, 26, 50, 100])
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
markers, colours = ("o", "s", "^", "D", "v"), ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
names = ("ddim", "dpm++2m", "dpm++2s", "dpm++3m", "unipc")
for marker, colour, name in zip(markers, colours, names, strict=True):
    errors = []
    for calls in budgets:
        rows, _ = gen.sample(300, solver=name, n_steps=int(calls) // SOLVERS[name].calls, random_state=0)
        errors.append(np.sqrt(np.mean((rows - reference) ** 2)))
    label = f"{name}, order {SOLVERS[name].order}"
    ax.loglog(budgets, errors, marker=marker, color=colour, label=label)
ax.set(xlabel="calls of the network", ylabel="root mean square error of a row")
ax.set_xticks(budgets, [str(calls) for calls in budgets], minor=False)
ax.minorticks_off()
ax.legend()
plt.show()

# %%
# Does it matter?
# ---------------
# The samples are judged by their law, not one by one. Beside what the model itself gets wrong, the error of
# the solver soon counts for nothing. Stochastic solvers draw noise on their way and have no single row to
# aim at; they are judged by the law alone.
X_fresh = make_gaussian_mixture_shift(2000, 2, random_state=1)[0]
print(f"{'solver':<16}{'steps':>6}{'sliced Wasserstein':>21}{'ms per 1,000 rows':>20}")
for name, n_steps in [
    ("ddim", 10), ("ddim", 50), ("dpm++2m", 10), ("dpm++2m", 25), ("unipc", 10), ("unipc", 25),
    ("sde-dpm++2m", 50),
]:  # fmt: skip
    start = perf_counter()
    rows, _ = gen.sample(2000, solver=name, n_steps=n_steps, random_state=0)
    time = (perf_counter() - start) / 2
    distance = sliced_wasserstein_distance(X_fresh, rows, random_state=0)
    print(f"{name:<16}{n_steps:>6}{distance:>21.3f}{1000 * time:>20.0f}")
print(f"{'fresh rows':<16}{'':>6}{sliced_wasserstein_distance(X_fresh, X_src[:2000], random_state=0):>21.3f}")

# %%
# The advice
# ----------
# Stay with ``"dpm++2m"`` in 25 steps, or take ``"unipc"`` in 10 where time counts. Double the steps once: if
# your measure moves, keep the larger number. Below ten steps no solver is safe.
