"""
A rare class, in a pipeline of imbalanced-learn
===============================================

A rare class: synthetic rows in a pipeline of imbalanced-learn.

The men of scikit-learn's diabetes study are the source. Of the women in the target only ten are in the
class "progression above the median". imbalanced-learn is needed: pip install ".[imblearn]".
"""

# %%
# An imbalanced target
# --------------------
# The other women, of both classes in their natural shares, are for the test.
import matplotlib.pyplot as plt
import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from sktgdp import DiffusionGenerator, DomainClassifier, GenerativeSampler, TGDPGenerator
from sktgdp.datasets import make_diabetes_shift

X_src, y_src, X_tgt, y_tgt, X_test, y_test = make_diabetes_shift(
    n_target=120, random_state=0, return_test=True
)
kept = np.append(np.flatnonzero(y_tgt == 0), np.flatnonzero(y_tgt == 1)[:10])
X_tgt, y_tgt = X_tgt[kept], y_tgt[kept]

# %%
# A generator that is already fitted
# ----------------------------------
# `FrozenEstimator` says: sample this generator and never train it. The pipeline then sees target rows only,
# and needs nothing that tells it about domains.
source = DiffusionGenerator(max_steps=600, batch_size=64)
classifier = DomainClassifier(n_folds=3, max_steps=150)
short = {"n_networks": 1, "max_steps": 250, "batch_size": 64}
gen = TGDPGenerator(source, domain_classifier=classifier, random_state=0, **short)
gen.fit(X_src, y_src, X_tgt, y_tgt)
sampler = GenerativeSampler(FrozenEstimator(gen), random_state=0)

# %%
# The pipeline
# ------------
# A frozen generator gives rows in the units that it was fitted on, so the sampler comes before the scaler.
# Rows are added in `fit` only; `predict` leaves the test rows as they are.
scores = {}
print(f"{'':<20}{'rows by class':>15}{'balanced accuracy':>20}")
for name, step in {"as it is": "passthrough", "SMOTE": SMOTE(random_state=0), "TGDP": sampler}.items():
    steps = [("sampler", step), ("scaler", StandardScaler()), ("model", LogisticRegression())]
    pipeline = Pipeline(steps).fit(X_tgt, y_tgt)
    counts = np.bincount(y_tgt if step == "passthrough" else step.fit_resample(X_tgt, y_tgt)[1])
    score = scores[name] = balanced_accuracy_score(y_test, pipeline.predict(X_test))
    print(f"{name:<20}{counts[0]:>10} {counts[1]:>4}{score:>20.3f}")

# %%
# What does without synthetic rows
# --------------------------------
# Two rivals that should stand beside any such table: weights for the classes, and the source rows
# themselves.
weighted = [("scaler", StandardScaler()), ("model", LogisticRegression(class_weight="balanced"))]
rivals = {"class weights": (X_tgt, y_tgt), "source rows": (X_src, y_src)}
for name, rows in rivals.items():
    score = scores[name] = balanced_accuracy_score(y_test, Pipeline(weighted).fit(*rows).predict(X_test))
    print(f"{name:<20}{'':>15}{score:>20.3f}")

# %%
# All together
# ------------
figure, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
colours = ["#0072B2" if name == "TGDP" else "0.7" for name in scores]
ax.bar_label(ax.barh(list(scores), list(scores.values()), color=colours), fmt="%.2f", padding=3)
ax.axvline(0.5, color="k", lw=0.8, ls=":")
ax.set(xlabel="balanced accuracy on the other women (0.5 is chance)", xlim=(0.4, 0.75))
ax.invert_yaxis()
plt.show()
