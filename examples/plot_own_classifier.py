"""
Your own domain classifier
==========================

Your own domain classifier: the density ratio from any scikit-learn classifier.

TGDP needs the ratio of the target's to the source's density. A classifier that tells the domains apart
gives it. On this simulation the true ratio is known, so that classifiers can be compared by it.
"""

# %%
# The data, and the truth
# -----------------------
# The logarithm of the true ratio is a straight line in x, but with another slope for each class.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.metrics import sliced_wasserstein_distance

X_src, y_src, X_tgt, y_tgt, oracle = make_gaussian_mixture_shift(
    n_source=3000, n_target=100, random_state=0, return_oracle=True
)
_, _, X_test, y_test = make_gaussian_mixture_shift(2, 2000, random_state=1)
component = torch.from_numpy((y_test + 1) // 2)
truth = oracle.log_density_ratio(torch.from_numpy(X_test), component).numpy()

# %%
# Four classifiers
# ----------------
# `DomainClassifier` standardises the features, appends the label, fits one copy of the classifier per fold,
# and calibrates the averaged logit on the rows that were held out. A plain logistic regression has one
# slope for both classes and cannot be right here. With products of features and labels it has the right
# form.
products = make_pipeline(PolynomialFeatures(2), LogisticRegression(max_iter=1000))
classifiers = {
    "default network": DomainClassifier(max_steps=200, random_state=0),
    "logistic regression": DomainClassifier(LogisticRegression(), random_state=0),
    "logistic, with products": DomainClassifier(products, random_state=0),
    "boosted trees": DomainClassifier(HistGradientBoostingClassifier(max_iter=50), random_state=0),
}
print(f"{'':<26}{'error of log ratio':>20}{'effective sample size':>24}")
figure, axes = plt.subplots(1, 4, figsize=(11, 3), sharex=True, sharey=True, layout="constrained")
for ax, (name, classifier) in zip(axes, classifiers.items(), strict=True):
    classifier.fit(X_src, y_src, X_tgt, y_tgt)
    estimated = classifier.log_density_ratio(X_test, y_test)
    ax.scatter(truth[:500], estimated[:500], s=6, c="#0072B2", lw=0, alpha=0.6)
    ax.axline((0, 0), slope=1, color="k", lw=0.8)
    ax.set(title=name, xlabel="true log ratio", ylim=(-8, 22))
    error = np.sqrt(np.mean((estimated - truth) ** 2))
    print(f"{name:<26}{error:>20.2f}{classifier.effective_sample_size_:>24.0f}")
axes[0].set_ylabel("estimated")
plt.show()

# %%
# In the generator
# ----------------
# Give it the classifier itself, or a `DomainClassifier` around it with settings of your own. The source
# model is shared: it does not depend on the classifier.
source = DiffusionGenerator(max_steps=600, batch_size=128, random_state=0).fit(X_src, y_src)
print("\nSliced Wasserstein distance of the samples to 2,000 fresh target rows")
network = DomainClassifier(max_steps=200)
short = {"n_networks": 1, "max_steps": 200, "batch_size": 128}
for name, classifier in {"default network": network, "logistic, with products": products}.items():
    gen = TGDPGenerator(FrozenEstimator(source), domain_classifier=classifier, random_state=0, **short)
    X_new, _ = gen.fit(X_src, y_src, X_tgt, y_tgt).sample(2000)
    print(f"  {name:<26}{sliced_wasserstein_distance(X_test, X_new, random_state=0):.3f}")
