"""
What each term contributes
==========================

The loss of the guidance network has three terms. Here the two regularisers are switched on and off.

The *guidance* term learns from the source rows through the density ratio, the *cycle* term ties it to the
ratio of the noised domains, the *consistency* term learns from the target rows. A weight of 0 switches a
term off.
"""

# %%
# Two overlaps
# ------------
# How much a term matters depends on how far the domains overlap. So there are two shifts: the paper's in the
# plane, where the domains touch, and digits against digits in a bolder hand, 64 pixels, where no source row
# is like a target row.
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_digits_shift, make_gaussian_mixture_shift
from sktgdp.metrics import sliced_wasserstein_distance
from sktgdp.preprocessing import RowStandardizer

mixture = make_gaussian_mixture_shift(3000, 60, random_state=0)
digits = make_digits_shift("thicken", n_target=60, n_test=400, random_state=0, return_test=True)
shifts = {
    "mixture": (*mixture, make_gaussian_mixture_shift(2, 1000, random_state=1)[2]),
    "digits": digits[:5],
}

# %%
# Four combinations
# -----------------
# One source model per shift serves all, and ``memory`` keeps the classifiers, too. The samples are compared
# with held-out target rows; as distances have the units of the features, they are divided by the distance
# of the source rows themselves: 1 means nothing gained.
settings = {
    "guidance alone": {"eta_cycle": 0, "eta_consistency": 0},
    "+ cycle": {"eta_cycle": 0.2, "eta_consistency": 0},
    "+ consistency": {"eta_cycle": 0, "eta_consistency": 20},
    "+ both": {"eta_cycle": 0.2, "eta_consistency": 20},
    "automatic": {},
}
classifier = DomainClassifier(n_folds=3, max_steps=150)
short = {"domain_classifier": classifier, "n_networks": 1, "max_steps": 150, "batch_size": 64}
results, folder = {}, TemporaryDirectory()
for shift, (X_src, y_src, X_tgt, y_tgt, X_held) in shifts.items():
    units = RowStandardizer(common_scale=True)  # pixels share a unit
    source = DiffusionGenerator(max_steps=700, batch_size=64, transformer=units, random_state=0)
    frozen = FrozenEstimator(source.fit(X_src, y_src))
    nothing = sliced_wasserstein_distance(X_held, X_src, random_state=0)
    for name, weights in settings.items():
        gen = TGDPGenerator(frozen, memory=folder.name, random_state=0, **short, **weights)
        X_new, _ = gen.fit(X_src, y_src, X_tgt, y_tgt).sample(len(X_held))
        results[shift, name] = sliced_wasserstein_distance(X_held, X_new, random_state=0) / nothing
    print(f"{shift}: effective sample size {gen.effective_sample_size_:.0f} of {len(X_src)}", end="; ")
    print(f"automatic weights {gen.eta_cycle_:.2g} and {gen.eta_consistency_:.3g}")

folder.cleanup()

# %%
# The picture
# -----------
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.2), sharey=True, layout="constrained")
for ax, shift in zip(axes, shifts, strict=True):
    heights = [results[shift, name] for name in settings]
    bars = ax.barh(list(settings), heights, color=["0.7"] * 4 + ["#0072B2"])
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.axvline(1, color="k", lw=0.8, ls=":")
    ax.set(title=shift, xlabel="distance, source rows = 1", xlim=(0, 1.15 * max(1, *heights)))
axes[0].invert_yaxis()
plt.show()

# %%
# The guidance term alone hardly moves the samples in so short a training, and the consistency term does most.
# Both ratios rest on a few rows only, as the effective sample sizes say. So the automatic weights leave the
# cycle term out, which rests on the ratio, and give the consistency term its weight. For the digits this is
# right. In the plane both regularisers together are a little better: there the rule was too careful.
