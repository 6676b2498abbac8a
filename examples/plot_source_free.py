"""
Transfer without the source rows
================================

Transfer without the source rows: the other hospital shares its model and keeps its patients.

The men of scikit-learn's diabetes study play the other hospital, 30 of the women are ours.
"""

# %%
# At the other hospital
# ---------------------
# A diffusion model of their patients is fitted there and written to a file, which holds numbers and no code:
# nothing in it is executed when it is read. But a model may remember single rows: measure that before you
# share it, for example with `sktgdp.metrics.distance_to_closest_record`.
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator, load
from sktgdp.datasets import make_diabetes_shift
from sktgdp.metrics import coverage_score, frechet_distance

X_src, y_src, X_tgt, y_tgt, X_test, y_test = make_diabetes_shift(
    n_target=30, random_state=0, return_test=True
)
theirs = DiffusionGenerator(max_steps=800, batch_size=64, random_state=0).fit(X_src, y_src)

with TemporaryDirectory() as folder:
    path = Path(folder) / "source_model.zip"
    theirs.save(path)
    print(f"The model is a file of {path.stat().st_size / 1e6:.1f} MB")
    received = load(path)

# %%
# At home
# -------
# `FrozenEstimator` says: use this model as it is and never train it. With `X_src=None` the rows that the
# density ratio and the guidance need are drawn from the model itself.
classifier = DomainClassifier(n_folds=3, max_steps=150)
frozen = FrozenEstimator(received)
settings = {"n_networks": 1, "max_steps": 250, "batch_size": 64, "domain_classifier": classifier}
source_free = TGDPGenerator(frozen, random_state=0, **settings).fit(None, None, X_tgt, y_tgt)

# %%
# How much is lost?
# -----------------
# The same fit with the source rows at hand, judged on the women that no fit has seen. Each measurement is
# taken over its standard deviation.
with_rows = TGDPGenerator(frozen, random_state=0, **settings).fit(X_src, y_src, X_tgt, y_tgt)
unit = X_test.std(axis=0)
print(f"\n{'':<22}{'Fréchet distance ↓':>20}{'coverage ↑':>14}")
generators = {"source model": theirs, "TGDP, source-free": source_free, "TGDP, with rows": with_rows}
samples = {}
for name, gen in generators.items():
    X_new, _ = gen.sample(len(X_test), random_state=1)
    samples[name] = X_new
    distance, coverage = (f(X_test / unit, X_new / unit) for f in (frechet_distance, coverage_score))
    print(f"{name:<22}{distance:>20.2f}{coverage:>14.2f}")

# %%
# Blood pressure and HDL cholesterol; grey: the women that no fit has seen.
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.4), sharex=True, sharey=True, layout="constrained")
for ax, (name, X_new) in zip(axes, samples.items(), strict=True):
    ax.scatter(*X_test[:, [2, 5]].T, s=20, c="0.8", lw=0, label="women, held out")
    ax.scatter(*X_new[:, [2, 5]].T, s=9, c="#0072B2", lw=0, label="samples")
    ax.set(title=name, xlabel="blood pressure (mm Hg)")
axes[0].set_ylabel("HDL cholesterol (mg/dl)")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()

# %%
# The model is what it was
# ------------------------
same = np.array_equal(received.sample(10, random_state=0)[0], theirs.sample(10, random_state=0)[0])
print(f"\nThe source model still gives the same samples: {same}")
