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
    n_source=5000, n_target=100, random_state=0, return_oracle=True
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
    "default network": DomainClassifier(random_state=0),
    "logistic regression": DomainClassifier(LogisticRegression(), random_state=0),
    "logistic, with products": DomainClassifier(products, random_state=0),
    "boosted trees": DomainClassifier(HistGradientBoostingClassifier(max_iter=50), random_state=0),
}
print(f"{'':<26}{'error of log ratio':>20}{'effective sample size':>24}")
for name, classifier in classifiers.items():
    classifier.fit(X_src, y_src, X_tgt, y_tgt)
    error = np.sqrt(np.mean((classifier.log_density_ratio(X_test, y_test) - truth) ** 2))
    print(f"{name:<26}{error:>20.2f}{classifier.effective_sample_size_:>24.0f}")

# %%
# In the generator
# ----------------
# Give it the classifier itself, or a `DomainClassifier` around it with settings of your own. The source
# model is shared: it does not depend on the classifier.
source = DiffusionGenerator(max_steps=1500, batch_size=512, random_state=0, verbose=1).fit(X_src, y_src)
print("\nSliced Wasserstein distance of the samples to 2,000 fresh target rows")
for name, classifier in {"default network": None, "logistic, with products": products}.items():
    gen = TGDPGenerator(FrozenEstimator(source), domain_classifier=classifier, max_steps=400, random_state=0)
    X_new, _ = gen.fit(X_src, y_src, X_tgt, y_tgt).sample(2000)
    print(f"  {name:<26}{sliced_wasserstein_distance(X_test, X_new, random_state=0):.3f}")
