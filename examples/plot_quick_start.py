"""
A first fit
===========

Ten thousand rows of one domain, a hundred of another: fit, sample, and look.

This is the simulation of the paper. Two classes lie in the plane; between the source and the target domain
they turn by a right angle. As every right answer is known here, samples can be judged without doubt.
"""

# %%
# Fit on two domains, sample the target
# -------------------------------------
# The weights of the two regularisers are left to the estimator: it looks at how much the domains overlap.
# The trainings are shorter here than by default, to save time; ``TGDPGenerator(random_state=0)`` will do.
import matplotlib.pyplot as plt
import numpy as np
import torch

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.metrics import average_likelihood, sliced_wasserstein_distance

X_src, y_src, X_tgt, y_tgt, oracle = make_gaussian_mixture_shift(random_state=0, return_oracle=True)
source = DiffusionGenerator(max_steps=800, batch_size=256)
classifier = DomainClassifier(max_steps=200)
short = {"n_networks": 1, "max_steps": 300, "batch_size": 128}
gen = TGDPGenerator(source, domain_classifier=classifier, random_state=0, **short)
gen.fit(X_src, y_src, X_tgt, y_tgt)
X_new, y_new = gen.sample(2000)

# %%
# Look
# ----
# The samples should lie where the target rows do, only more densely.
figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained")
panels = {
    f"source: {len(X_src):,} rows": (X_src[:1000], y_src[:1000]),
    f"target: {len(X_tgt)} rows": (X_tgt, y_tgt),
    "samples of the target": (X_new[:1000], y_new[:1000]),
}
for ax, (title, (X, y)) in zip(axes, panels.items(), strict=True):
    for label, marker, colour in ((-1, "o", "#0072B2"), (1, "^", "#D55E00")):
        ax.scatter(*X[y == label].T, s=9, marker=marker, c=colour, alpha=0.6, lw=0, label=f"y = {label:+d}")
    ax.set(title=title, xlabel="$x_1$", box_aspect=1)
axes[0].set_ylabel("$x_2$")
axes[0].legend(loc="lower right", markerscale=1.5, framealpha=0.9)
plt.show()

# %%
# What the fit found
# ------------------
# The effective sample size says how many of the source rows carry the density ratio. Near 1 the domains
# hardly overlap; then the consistency term, which learns from the target rows, has to carry the fit.
print(f"{gen.effective_sample_size_:.0f} of {len(X_src)} source rows count")
print(f"eta_cycle = {gen.eta_cycle_:.3g}, eta_consistency = {gen.eta_consistency_:.3g}")

# %%
# Distance to fresh target rows
# -----------------------------
# The third line is what a perfect generator would score: it would draw rows such as these.
_, _, X_fresh, _ = make_gaussian_mixture_shift(2, 4000, random_state=1)
X_judge, X_perfect = X_fresh[:2000], X_fresh[2000:]
print("Sliced Wasserstein distance to 2,000 fresh target rows")
for name, rows in {"source rows": X_src[:2000], "samples": X_new, "target rows": X_perfect}.items():
    print(f"  {name:<12} {sliced_wasserstein_distance(X_judge, rows, random_state=0):.3f}")

# %%
# A score to be wary of
# ---------------------
# The mean density of the samples under the true target law is easy to read and easy to fool: samples that
# collapse onto the two modes score more than exact samples do.


def log_density(rows):
    return oracle.target.log_prob(torch.from_numpy(rows)).numpy()


modes = np.repeat(oracle.target.means.numpy(), 1000, axis=0)
print("Average likelihood under the true target law")
for name, rows in {"samples": X_new, "target rows": X_perfect, "only the modes": modes}.items():
    print(f"  {name:<14} {average_likelihood(rows, log_density):.3f}")

# %%
# One class, and log densities
# ----------------------------
# Labels are drawn as in the target unless you give them. `score_samples` takes new rows, with or without
# labels.
X_one, y_one = gen.sample(500, y=1)
true_mean = oracle.target.means[1].numpy()
print(f"Mean of the samples of class 1: {X_one.mean(axis=0).round(2)}, of the true law: {true_mean}")
estimated, true = gen.score_samples(X_judge[:50]), log_density(X_judge[:50])
print(f"Log density of fresh rows: {estimated.mean():.2f} estimated, {true.mean():.2f} true (means)")
