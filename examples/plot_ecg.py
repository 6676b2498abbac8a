"""
Twelve-lead ECG
===============

Heart beats in twelve leads that obey the laws of the leads, from one group of patients to another.

The beats are *synthetic*, made of bumps for the waves P, Q, R, S and T: this script must run without a
download. They are no substitute for recordings. The readers of `sktgdp.datasets` take PTB-XL, ICBEB2018 and
any WFDB record, and the `ECG benchmark <../benchmarks/ecg.html>`_ uses real ones.
"""

# %%
# Beats from a turning dipole
# ---------------------------
# A lead sees the heart's dipole from its own angle. Of the twelve leads eight are independent, and
# `LeadReducer` knows the way back to all twelve. The label says whether the T wave is inverted. In the
# target domain the heart's axis lies further to the left and the QRS complex is wider.
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.nets import ScoreConv
from sktgdp.preprocessing import STANDARD_LEADS, LeadReducer, RowStandardizer, make_chain

RATE, LENGTH = 100, 80  # Hz, samples
ANGLES = np.radians([0, 115, 95, 75, 55, 35, 15, 90])  # of I, V1 to V6 and aVF
QRS = {"Q": (0.29, 0.010, -0.12), "R": (0.32, 0.014, 1.1), "S": (0.35, 0.012, -0.25)}
WAVES = {"P": (0.15, 0.025, 0.12), **QRS, "T": (0.58, 0.05, 0.3)}  # seconds, seconds, mV


def beats(n, axis, width, seed):
    """Twelve leads in mV, (n, 12, LENGTH): an axis in degrees, and the width of the QRS complex."""
    rng = np.random.default_rng(seed)
    time, inverted = np.arange(LENGTH) / RATE, rng.integers(2, size=n)
    direction = np.radians(axis + 12 * rng.standard_normal(n))
    eight = np.zeros((n, 8, LENGTH))
    for name, (at, spread, height) in WAVES.items():
        sign = np.where(inverted, -1, 1) if name == "T" else np.ones(n)
        size = sign * height * rng.lognormal(0, 0.1, n)
        spread = spread * (width if name in QRS else 1)
        bump = np.exp(-0.5 * ((time - at - 0.01 * rng.standard_normal((n, 1))) / spread) ** 2)
        eight += (size[:, None] * np.cos(ANGLES - direction[:, None]))[..., None] * bump[:, None]
    eight += 0.01 * rng.standard_normal(eight.shape)
    return LeadReducer().fit(np.zeros((1, 12, LENGTH))).inverse_transform(eight), inverted


X_src, y_src = beats(800, axis=60, width=1.0, seed=0)
X_tgt, y_tgt = beats(40, axis=0, width=1.8, seed=1)
X_held, y_held = beats(200, axis=0, width=1.8, seed=2)

# %%
# Eight leads inside, twelve outside
# ----------------------------------
# As a transformer of the generator, the chain gives the networks eight leads on one scale, and the user
# twelve in mV.
units = make_chain(LeadReducer(), RowStandardizer(common_scale=True))
network = partial(ScoreConv, hidden_sizes=(24, 48, 64))
source = DiffusionGenerator(module=network, max_steps=300, batch_size=16, transformer=units, random_state=0)
source.fit(X_src, y_src)
classifier = DomainClassifier(n_folds=3, max_steps=60, batch_size=16)
short = {"max_steps": 100, "batch_size": 8, "random_state": 0}
gen = TGDPGenerator(FrozenEstimator(source), domain_classifier=classifier, hidden_sizes=(16, 16), **short)
gen.fit(X_src, y_src, X_tgt, y_tgt)
X_new, y_new = gen.sample(100, y=0)
violation = np.abs(X_new[:, 1] - X_new[:, 0] - X_new[:, 2]).max()
print(f"Einthoven's law, II = I + III, holds to {violation:.1e} mV")

# %%
# Does it look like the target?
# -----------------------------
# Means of upright beats. Lead I sees an axis of 0° from the front, aVF from the side.
kinds = {"source": (X_src, y_src, "0.6"), "target, held out": (X_held, y_held, "#D55E00")}
figure, axes = plt.subplots(3, 4, figsize=(10, 6), sharex=True, sharey=True, layout="constrained")
for lead, ax in enumerate(axes.T.flat):
    for name, (X, y, colour) in {**kinds, "samples": (X_new, y_new, "#0072B2")}.items():
        style = "--" if name == "samples" else "-"
        ax.plot(np.arange(LENGTH) / RATE, X[y == 0, lead].mean(axis=0), style, color=colour, label=name)
    ax.set_title(STANDARD_LEADS[lead], fontsize=10)
    ax.grid(color="#F3C5C5", lw=0.6)
figure.supxlabel("seconds")
figure.supylabel("mV")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
plt.show()

# %%
# In numbers
# ----------
# Heights of the R wave in two leads, in mV.
for name, (X, y, _) in {**kinds, "samples": (X_new, y_new, "")}.items():
    height = X[y == 0, :, 25:40].max(axis=2).mean(axis=0)
    print(f"{name:<18} I {height[0]:.2f}   aVF {height[5]:.2f}")
