"""
A classifier that trains on synthetic rows, too
===============================================

A classifier that trains on target rows and on synthetic ones, in a pipeline and in a search.

From the men of scikit-learn's diabetes study to 60 of its women, nine clinical features.
"""

# %%
# A generator, fitted once
# ------------------------
# The pipeline below takes logarithms, so the generator is fitted on logarithms, too. A transformer that
# learns from its rows, such as a scaler, could not stand there: it would give other units in every fold.
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn import config_context
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktgdp import AugmentedClassifier, DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_diabetes_shift
from sktgdp.model_selection import StratifiedTargetKFold, pack_domains

X_src, y_src, X_tgt, y_tgt, X_more, y_more = make_diabetes_shift(random_state=0, return_test=True)
source = DiffusionGenerator(max_steps=600, batch_size=64, random_state=0).fit(np.log(X_src), y_src)
classifier = DomainClassifier(n_folds=3, max_steps=120)
short = {"domain_classifier": classifier, "n_networks": 1, "max_steps": 120, "batch_size": 64}
gen = TGDPGenerator(FrozenEstimator(source), random_state=0, **short)
gen.fit(np.log(X_src), y_src, np.log(X_tgt), y_tgt)

# %%
# Cross-validation with the frozen generator
# ------------------------------------------
# A frozen generator must not have seen the rows on which you test. Here it has not: the cross-validation is
# over the other women. In each fold the classifier, by default a logistic regression, gets two synthetic
# rows for each row that it trains on. Where rows are enough, as they may be here, it gains nothing by that.
print("ROC AUC over five folds of the other women")
for n_synthetic in (0, 2.0):
    clf = AugmentedClassifier(generator=FrozenEstimator(gen), n_synthetic=n_synthetic, random_state=0)
    scores = cross_val_score(
        make_pipeline(FunctionTransformer(np.log), clf), X_more, y_more, cv=5, scoring="roc_auc"
    )
    print(f"  n_synthetic = {n_synthetic}: {scores.mean():.3f}, spread {scores.std():.3f}")

# %%
# A search in which each fold has a generator of its own
# ------------------------------------------------------
# Now the generator is not frozen, only its source model is, and it learns in each fold from that fold's
# training rows. Source and target rows are stacked; with metadata routing `sample_domain` reaches the
# splitter and the classifier by itself.
X, y, domain = pack_domains(np.log(X_src), y_src, np.log(X_tgt), y_tgt)
with TemporaryDirectory() as folder, config_context(enable_metadata_routing=True):
    gen = TGDPGenerator(FrozenEstimator(source), eta_cycle=0, memory=folder, **short)
    clf = AugmentedClassifier(generator=gen, n_synthetic=2.0, random_state=0)
    search = GridSearchCV(
        clf.set_fit_request(sample_domain=True),
        {"generator__eta_consistency": [0, 1, 10]},
        scoring="roc_auc",
        cv=StratifiedTargetKFold(3, random_state=0),
    )
    search.fit(X, y, sample_domain=domain)

print("\nROC AUC over three folds of the 60 women")
for value, score in zip([0, 1, 10], search.cv_results_["mean_test_score"], strict=True):
    print(f"  generator__eta_consistency = {value}: {score:.3f}")
print(f"On the other women the best has {search.score(np.log(X_more), y_more):.3f}")

# %%
# The search as a picture
# -----------------------
# With twenty women in each, the folds lie far apart, and so does what can be concluded.
folds = np.array([search.cv_results_[f"split{i}_test_score"] for i in range(3)])
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(folds.T, "o", color="0.6", label=["a fold", None, None])
ax.plot(folds.mean(axis=0), "D-", color="#0072B2", label="mean")
ax.set_xticks(range(3), ["0", "1", "10"])
ax.set(xlabel="eta_consistency", ylabel="ROC AUC")
ax.legend()
plt.show()
