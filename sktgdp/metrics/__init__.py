"""Scores of generated data and of classifiers trained on it: numpy arrays in, floats out.

======================================  ==================================================================
Question                                Scores
======================================  ==================================================================
Do the laws agree?                      `fid_score`, `energy_distance`, `sliced_wasserstein_distance`,
                                        `two_sample_auc`
Are the rows plausible?                 `precision_score_knn`, `density_score`, `average_likelihood`
Is everything covered?                  `coverage_score`, `recall_score_knn`
Are training rows copied?               `distance_to_closest_record`, `memorization_ratio`
Does a classifier gain?                 `macro_roc_auc_score`, `challenge_f_beta_score`,
                                        `challenge_g_beta_score`, `bootstrap_interval`
Which model should a search choose?     `get_scorer`, `get_scorer_names`, `make_sample_scorer`
======================================  ==================================================================
"""

from sktgdp.metrics._bootstrap import BootstrapInterval, bootstrap_interval
from sktgdp.metrics._classification import (
    apply_thresholds,
    challenge_f_beta_score,
    challenge_g_beta_score,
    macro_roc_auc_score,
    optimal_thresholds,
)
from sktgdp.metrics._frechet import fid_infinity_score, fid_score, frechet_distance
from sktgdp.metrics._neighbours import coverage_score, density_score, precision_score_knn, recall_score_knn
from sktgdp.metrics._privacy import distance_to_closest_record, memorization_ratio
from sktgdp.metrics._scorers import SampleScorer, get_scorer, get_scorer_names, make_sample_scorer
from sktgdp.metrics._two_sample import (
    average_likelihood,
    energy_distance,
    sliced_wasserstein_distance,
    two_sample_auc,
)

__all__ = [
    "BootstrapInterval",
    "SampleScorer",
    "apply_thresholds",
    "average_likelihood",
    "bootstrap_interval",
    "challenge_f_beta_score",
    "challenge_g_beta_score",
    "coverage_score",
    "density_score",
    "distance_to_closest_record",
    "energy_distance",
    "fid_infinity_score",
    "fid_score",
    "frechet_distance",
    "get_scorer",
    "get_scorer_names",
    "macro_roc_auc_score",
    "make_sample_scorer",
    "memorization_ratio",
    "optimal_thresholds",
    "precision_score_knn",
    "recall_score_knn",
    "sliced_wasserstein_distance",
    "two_sample_auc",
]
