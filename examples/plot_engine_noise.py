"""
Engine noise, from one recording to another
===========================================

Series instead of tables: many recordings with a quiet microphone, few with a noisy one.

The recordings are *simulated*, after the idea of FordA and FordB of the UCR archive: does a symptom show in
the noise of an engine? An engine has a resonance, and the symptom is a second one. In the target domain
there is more noise, and the resonance lies higher. The `benchmark <../benchmarks/ford.html>`_ uses the real
series.
"""

# %%
# Two sets of recordings
# ----------------------
# Resonances are filters on white noise. Rows have the shape (n, channels, length).
import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import lfilter, periodogram

from sktgdp import DiffusionGenerator, DomainClassifier, SeriesClassifier, TGDPGenerator
from sktgdp.metrics import fid_score

LENGTH = 64


def resonance(rng, n, frequency):
    """White noise through a damped oscillator; the frequency is in cycles per sample."""
    pole = 0.95 * np.exp(2j * np.pi * frequency)
    a = [1, -2 * pole.real, abs(pole) ** 2]
    return lfilter([1], a, rng.standard_normal((n, LENGTH + 100)))[:, 100:]


def engines(n, frequency, noise, seed):
    rng = np.random.default_rng(seed)
    symptom = rng.integers(2, size=n)
    sound = resonance(rng, n, frequency) + symptom[:, None] * resonance(rng, n, 2.5 * frequency)
    return (sound / 4 + noise * rng.standard_normal((n, LENGTH)))[:, None], symptom


X_src, y_src = engines(800, frequency=0.06, noise=0.1, seed=0)
X_tgt, y_tgt = engines(50, frequency=0.09, noise=0.4, seed=1)
X_held, y_held = engines(400, frequency=0.09, noise=0.4, seed=2)

# %%
# Fit and sample
# --------------
# Nothing says that these are series but their shape: the default networks are then convolutional. They are
# kept small here, to save time.
source = DiffusionGenerator(hidden_sizes=(16, 32, 48), max_steps=500, batch_size=16)
classifier = DomainClassifier(n_folds=3, max_steps=60, batch_size=16)
gen = TGDPGenerator(
    source, domain_classifier=classifier, hidden_sizes=(16, 16), max_steps=500, batch_size=8, random_state=0
)
gen.fit(X_src, y_src, X_tgt, y_tgt)
X_new, y_new = gen.sample(400)
print(f"Effective sample size {gen.effective_sample_size_:.1f} of {len(X_src)}", end=", ")
print(f"so eta_consistency = {gen.eta_consistency_:.3g}")

# %%
# Spectra
# -------
# A series of noise says little to the eye; its power by frequency does. Lines: the mean over all series of a
# class. The samples have moved from the source to the target: both resonances lie higher, and there is more
# noise between and above them. What is left to do, the dip between the resonances and the last of the
# noise, takes more steps and larger networks than a page should wait for.
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
looks = {"source": ("0.6", "-"), "target, held out": ("#D55E00", "-"), "samples": ("#0072B2", "--")}
domains = ((X_src, y_src), (X_held, y_held), (X_new, y_new))
for symptom, ax in enumerate(axes):
    for (name, (colour, style)), (X, y) in zip(looks.items(), domains, strict=True):
        frequency, power = periodogram(X[y == symptom, 0])
        ax.semilogy(frequency[1:], power.mean(axis=0)[1:], style, color=colour, label=name)
    ax.set(title=("healthy", "with the symptom")[symptom], xlabel="cycles per sample")
axes[0].set_ylabel("power")
axes[0].legend()
plt.show()

# %%
# A distance in the features of a classifier
# ------------------------------------------
# `fid_score` takes a fitted `SeriesClassifier` and compares its features, which know what matters in a
# series.
features = SeriesClassifier(max_steps=40, random_state=0).fit(X_src, y_src)
for name, X in {"source": X_src[:400], "samples": X_new}.items():
    print(f"{name:<8} Fréchet distance to held-out target series: {fid_score(X_held, X, features):.2f}")
