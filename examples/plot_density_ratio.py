"""
The landscape of the density ratio
==================================

What TGDP learns about two domains: where the target is denser than the source, and by how much.

The ratio of the densities of target and source, q/p, is estimated by a classifier. The guidance network
turns it into the expected ratio at every noise level; its slope moves the samples. Both are known exactly
on this simulation.
"""

# %%
# A fit without labels
# --------------------
import matplotlib.pyplot as plt
import numpy as np
import torch

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_gaussian_mixture_shift

X_src, _, X_tgt, _, oracle = make_gaussian_mixture_shift(4000, 200, random_state=0, return_oracle=True)
source = DiffusionGenerator(max_steps=400, batch_size=128)
classifier = DomainClassifier(n_folds=3, max_steps=300)
short = {"n_networks": 1, "max_steps": 300, "batch_size": 128}
gen = TGDPGenerator(source, domain_classifier=classifier, random_state=0, **short)
gen.fit(X_src, None, X_tgt, None)

# %%
# On clean rows
# -------------
# Blue: more source than target. Red: more target than source. Where neither domain has rows the classifier
# can only continue what it has seen, so the estimate is good near the points and means nothing in the
# corners.
grid = np.linspace(-1.6, 1.6, 60)
points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)


def panel(ax, values, title):
    """Draw a landscape on the grid, cut at ±8; the line is where both domains are equally dense."""
    values = np.clip(values.reshape(60, 60), -8, 8)
    image = ax.contourf(grid, grid, values, levels=np.linspace(-8, 8, 17), cmap="RdBu_r")
    ax.contour(grid, grid, values, levels=[0], colors="k", linewidths=0.8)
    ax.set(title=title, xlabel="$x_1$", aspect="equal")
    return image


figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.6), sharey=True, layout="constrained")
panel(axes[0], oracle.log_density_ratio(torch.from_numpy(points)).numpy(), "true log q/p")
image = panel(axes[1], gen.log_density_ratio(points), "estimated")
axes[1].scatter(*X_src[:200].T, s=4, c="k", alpha=0.5, lw=0, label="source")
axes[1].scatter(*X_tgt.T, s=14, c="#009E73", marker="^", lw=0, label="target")
axes[1].legend(loc="lower left", framealpha=0.9)
axes[0].set_ylabel("$x_2$")
figure.colorbar(image, ax=axes, label="log ratio")
plt.show()

# %%
# How good is it where it counts?
# -------------------------------
# Root mean square error of the logarithm, on fresh rows of either domain.
X_more, _, X_fresh, _ = make_gaussian_mixture_shift(1000, 1000, random_state=1)
for name, rows in {"source": X_more, "target": X_fresh}.items():
    error = gen.log_density_ratio(rows) - oracle.log_density_ratio(torch.from_numpy(rows)).numpy()
    print(f"fresh {name} rows: {np.sqrt(np.mean(error**2)):.2f}")
print(f"Effective sample size: {gen.effective_sample_size_:.0f} of {len(X_src)} source rows")

# %%
# Under noise
# -----------
# The guidance network sees rows with noise. The later the time, the less can be said about where a row will
# end, and the flatter the landscape. Upper row: exact; lower row: learned.
mean, scale = gen.transformer_.mean_, gen.transformer_.scale_
exact = oracle.standardized(torch.from_numpy(mean), torch.from_numpy(scale))
times = (0.05, 0.2, 0.5)
figure, axes = plt.subplots(2, 3, figsize=(9, 5.6), sharex=True, sharey=True, layout="constrained")
units = 1.5 * points  # the networks' units, in which the source has standard deviation 1
for (upper, lower), t in zip(axes.T, times, strict=True):
    panel(upper, exact.log_guidance(torch.from_numpy(units), t).numpy(), f"exact, t = {t}")
    image = panel(lower, gen.guidance(units, t), f"learned, t = {t}")
figure.colorbar(image, ax=axes, label="log h")
plt.show()
