"""
Your own network
================

Any PyTorch module can stand in for the default networks, of the source model and of the guidance.

A network is made from three things: the shape of a row, the width of the label vector, and the noising
process. It is called with noised rows, their times, and labels.
"""

# %%
# A score network
# ---------------
# It predicts the noise. Written as ``sigma_t x_t + alpha_t F`` it is right for standard normal rows before
# it has learned anything, and far easier to train than a network that predicts the noise from nothing.
import matplotlib.pyplot as plt
import torch
from torch import nn

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.metrics import sliced_wasserstein_distance
from sktgdp.plotting import HistoryDisplay, SampleScatterDisplay


def features(process, x_t, t, y):
    """Row, noise level and label side by side; a time is one number or one per row."""
    level = process.log_snr_half(t).expand(len(x_t)).unsqueeze(1) / 5
    return torch.cat([x_t, level] if y is None else [x_t, level, y], dim=1)


def layers(n_in, n_out, width=64):
    return nn.Sequential(
        nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, n_out)
    )


class MyScore(nn.Module):
    def __init__(self, event_shape, n_labels, process):
        super().__init__()
        self.process = process
        self.body = layers(event_shape[0] + 1 + n_labels, event_shape[0])

    def forward(self, x_t, t, y=None):
        alpha, sigma = (f(t).reshape(-1, 1) for f in (self.process.alpha, self.process.sigma))
        return sigma * x_t + alpha * self.body(features(self.process, x_t, t, y))


# %%
# A guidance network
# ------------------
# It returns the logarithm of the guidance function, one number per row. Its gradient is what guides, so it
# has to be smooth: no ReLU. Pure noise says nothing of where a row comes from, hence the factor alpha.
class MyGuidance(nn.Module):
    def __init__(self, event_shape, n_labels, process):
        super().__init__()
        self.process = process
        self.body = layers(event_shape[0] + 1 + n_labels, 1)

    def forward(self, x_t, t, y=None):
        return self.process.alpha(t) * self.body(features(self.process, x_t, t, y)).squeeze(1)


# %%
# In the generator
# ----------------
# Classes or functions are handed over, not instances: every fit makes networks of its own.
X_src, y_src, X_tgt, y_tgt = make_gaussian_mixture_shift(4000, 100, random_state=0)
gen = TGDPGenerator(
    DiffusionGenerator(module=MyScore, max_steps=800, batch_size=128),
    guidance_module=MyGuidance,
    domain_classifier=DomainClassifier(n_folds=3, max_steps=150),
    n_networks=1,
    max_steps=300,
    batch_size=128,
    random_state=0,
).fit(X_src, y_src, X_tgt, y_tgt)
X_new, _ = gen.sample(1000)

# %%
# Did it learn?
# -------------
# Every phase of the fit has its losses, and all should have settled. Then the samples.
HistoryDisplay.from_estimator(gen)
plt.show()

# %%
SampleScatterDisplay.from_estimator(gen, X_tgt, y_tgt, n_samples=500, names=("target rows", "samples"))
plt.show()

# %%
X_fresh = make_gaussian_mixture_shift(2, 1000, random_state=1)[2]
print("Sliced Wasserstein distance to 1,000 fresh target rows")
for name, rows in {"source rows": X_src[:1000], "samples": X_new}.items():
    print(f"  {name:<12} {sliced_wasserstein_distance(X_fresh, rows, random_state=0):.3f}")
