"""From many men to few women: the whole method on a study of diabetes, with a table and a picture.

The data ship with scikit-learn: 442 patients, nine measurements each, and whether their disease progressed
faster than the median in the year that followed. The source domain is the men, all of whom we may use. The
target domain is the women, of whom we pretend to have 30. Four generators then make up women:

- *source*: a diffusion model of the men, as it is;
- *vanilla*: a diffusion model of the 30 women alone;
- *fine-tuned*: the model of the men, trained further on the 30 women;
- *TGDP*: the model of the men, unchanged, guided by what tells the women from the men.

The last three get the same number of gradient steps. All other women are held out, and only judge. As 30
women may be a lucky or an unlucky draw, everything but the source model is repeated on several draws.

    python examples/demo.py [--draws 3] [--steps 250] [--output demo.png]
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import matplotlib

matplotlib.use("Agg")  # draw into a file, with or without a screen
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import gaussian_kde
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktgdp import DiffusionGenerator, DomainClassifier, FineTunedDiffusionGenerator, TGDPGenerator
from sktgdp.datasets import make_diabetes_shift
from sktgdp.metrics import coverage_score, frechet_distance

N_TARGET = 30  # women to learn from
N_SAMPLES = 1000  # rows that each generator draws
BATCH_SIZE = 256
# TGDP trains several small networks: five that tell the domains apart, one that does so under noise, and
# three that guide. A baseline trains a single network and so gets as many times the steps.
N_CLASSIFIERS, N_GUIDES = 5, 3
N_NETWORKS = N_CLASSIFIERS + 1 + N_GUIDES

GENERATORS = ("source", "vanilla", "fine-tuned", "TGDP")
COLUMNS = ("Fréchet distance ↓", "coverage ↑", "AUC ↑")


# %% The four generators
# The source model is wrapped in scikit-learn's `FrozenEstimator`: both the fine-tuned generator and TGDP
# then use it as it is and never train it again. (The fine-tuned generator trains a copy.)
def fit_source(X_src, y_src, n_steps):
    source = DiffusionGenerator(max_steps=n_steps, batch_size=BATCH_SIZE, random_state=0, verbose=1)
    return source.fit(X_src, y_src)


def fit_generators(source, domains, n_steps, seed):
    X_src, y_src, X_tgt, y_tgt = domains
    frozen = FrozenEstimator(source)
    common = {"batch_size": BATCH_SIZE, "random_state": seed, "verbose": 1}
    vanilla = DiffusionGenerator(max_steps=N_NETWORKS * n_steps, **common)
    fine_tuned = FineTunedDiffusionGenerator(frozen, max_steps=N_NETWORKS * n_steps, **common)
    classifier = DomainClassifier(n_folds=N_CLASSIFIERS, max_steps=n_steps)
    tgdp = TGDPGenerator(
        frozen, domain_classifier=classifier, n_networks=N_GUIDES, max_steps=n_steps, **common
    )
    return {
        "source": source,
        "vanilla": vanilla.fit(X_tgt, y_tgt),
        "fine-tuned": fine_tuned.fit(X_src, y_src, X_tgt, y_tgt),
        "TGDP": tgdp.fit(X_src, y_src, X_tgt, y_tgt),
    }


# %% How good are the samples?
# By themselves: the Fréchet distance to the held-out women (do means and covariances agree?) and the
# coverage (is there a sample near each of them?), each feature over its standard deviation among the men.
# Both depend on the number of rows, so the held-out women are cut into two halves, and as many samples are
# compared with either half; one half compared with the other shows what a perfect generator would score.
#
# For a purpose: the area under the ROC curve of a classifier that was trained on the 30 women and the
# samples. Two classifiers that do without a generator stand beside it: whoever wants only to classify
# should look at them first.
def closeness(halves, rows, unit):
    scores = [
        (measure(half / unit, other[: len(half)] / unit) for measure in (frechet_distance, coverage_score))
        for half, other in zip(halves, rows, strict=True)
    ]
    return np.mean([list(pair) for pair in scores], axis=0)


def usefulness(X_train, y_train, X_test, y_test):
    classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
    return roc_auc_score(y_test, classifier.predict_proba(X_test)[:, 1])


def judge(generators, domains, X_test, y_test, seed):
    """Scores by row of the table, and the samples."""
    X_src, y_src, X_tgt, y_tgt = domains
    unit, halves = X_src.std(axis=0), (X_test[::2], X_test[1::2])
    scores, samples = {}, {}
    for name, generator in generators.items():
        X, y = samples[name] = generator.sample(N_SAMPLES, random_state=seed)
        auc = usefulness(np.vstack([X_tgt, X]), np.append(y_tgt, y), X_test, y_test)
        scores[name] = (*closeness(halves, (X, X), unit), auc)
    nothing = (np.nan, np.nan)
    both = np.vstack([X_src, X_tgt]), np.append(y_src, y_tgt)
    scores["other women"] = (*closeness(halves, halves[::-1], unit), np.nan)
    scores["no generator, women only"] = (*nothing, usefulness(X_tgt, y_tgt, X_test, y_test))
    scores["no generator, men and women"] = (*nothing, usefulness(*both, X_test, y_test))
    return scores, samples


# %% The table
def print_table(scores, n_draws):
    """Mean and standard deviation of the scores over the draws."""
    means = {name: np.mean(values, axis=0) for name, values in scores.items()}
    spreads = {name: np.std(values, axis=0) for name, values in scores.items()}
    print(f"\nMean ± standard deviation over {n_draws} draws of {N_TARGET} women\n")
    print(f"{'':<29}" + "".join(f"{column:>20}" for column in COLUMNS))
    for name in ("other women", *GENERATORS, "no generator, women only", "no generator, men and women"):
        pairs = zip(means[name], spreads[name], strict=True)
        cells = ("–" if np.isnan(mean) else f"{mean:.3f} ± {spread:.3f}" for mean, spread in pairs)
        print(f"{name:<29}" + "".join(f"{cell:>20}" for cell in cells))
    print("\nAUC: on the held-out women, trained on the 30 women and the samples, or on what the row says.")
    for i, (column, sign) in enumerate(zip(COLUMNS, (-1, 1, 1), strict=True)):
        best = max(GENERATORS, key=lambda name: sign * means[name][i])
        print(f"Best generator by {column[:-2]}: {best}")


# %% The picture
# Two of the nine measurements, those in which women and men differ most clearly: blood pressure and HDL
# cholesterol. The contours are those of all held-out women and the same everywhere; the points should fill
# them.
PRESSURE, HDL = 2, 5
LOOKS = {0: ("o", "#0072B2", "slower progression"), 1: ("^", "#D55E00", "faster progression")}


def draw_panel(axes, title, X, y, density):
    for label, (marker, colour, name) in LOOKS.items():
        rows = X[y == label]
        axes.scatter(*rows[:, [PRESSURE, HDL]].T, s=16, c=colour, marker=marker, alpha=0.75, lw=0, label=name)
    axes.contour(*density, levels=4, colors="0.35", linewidths=0.9, zorder=0)
    axes.set_title(title, fontsize=10)


def density_of(X):
    """Grid and estimated density of blood pressure and HDL."""
    rows = X[:, [PRESSURE, HDL]].T
    low, high = rows.min(axis=1), rows.max(axis=1)
    margin = 0.15 * (high - low)
    x, y = np.meshgrid(*np.linspace(low - margin, high + margin, 80).T)
    return x, y, gaussian_kde(rows)(np.stack([x.ravel(), y.ravel()])).reshape(x.shape)


def draw_picture(path, domains, samples, X_test, scores):
    X_src, y_src, X_tgt, y_tgt = domains
    density, n = density_of(X_test), len(X_src)
    panels = [
        (f"the {n} men (source, real)", X_src, y_src),
        (f"the {N_TARGET} women (target, real)", X_tgt, y_tgt),
    ]
    for name in GENERATORS:
        frechet, coverage, _ = scores[name][0]
        title = f"{name}: Fréchet {frechet:.2f}, coverage {coverage:.2f}"
        panels.append((title, *(part[:n] for part in samples[name])))
    figure, grid = plt.subplots(2, 3, figsize=(11, 7.4), sharex=True, sharey=True, layout="constrained")
    for axes, panel in zip(grid.T.flat, panels, strict=True):
        draw_panel(axes, *panel, density)
    figure.supxlabel("blood pressure (mm Hg)", fontsize=10)
    figure.supylabel("HDL cholesterol (mg/dl)", fontsize=10)
    title = "Points: data or samples. Contours: the held-out women, whom the points should match."
    figure.suptitle(title, fontsize=11)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower right", ncols=2, frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)


# %% All together
def main(arguments=None):
    parser = argparse.ArgumentParser(description="Four generators of a small target domain, on real data.")
    parser.add_argument("--draws", type=int, default=3, help="how often the women are drawn anew")
    parser.add_argument("--steps", type=int, default=250, help="gradient steps of each of TGDP's networks")
    parser.add_argument("--output", default="demo.png", help="file of the picture")
    options = parser.parse_args(arguments)
    start, scores, picture = time.perf_counter(), defaultdict(list), None
    for draw in range(options.draws):
        *domains, X_test, y_test = make_diabetes_shift(n_target=N_TARGET, random_state=draw, return_test=True)
        if draw == 0:
            X_src, y_src = domains[:2]
            print(f"Diabetes study: {len(X_src)} men, {N_TARGET} women, {len(X_test)} women held out")
            print("\nSource model: a diffusion model of the men")
            source = fit_source(X_src, y_src, N_NETWORKS * options.steps)
        print(f"\nDraw {draw + 1} of {options.draws}: vanilla, fine-tuned, TGDP")
        generators = fit_generators(source, domains, options.steps, draw)
        tgdp = generators["TGDP"]
        print(f"Overlap: the men are worth {tgdp.effective_sample_size_:.0f} women (effective sample size),")
        print(f"hence eta_cycle = {tgdp.eta_cycle_:.3g} and eta_consistency = {tgdp.eta_consistency_:.3g}")
        judged, samples = judge(generators, domains, X_test, y_test, draw)
        for name, values in judged.items():
            scores[name].append(values)
        picture = picture or (domains, samples, X_test)
    print_table(scores, options.draws)
    draw_picture(options.output, *picture, scores)
    print(f"\nWrote {options.output} (the first draw) after {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small gain nothing from a second one, and lose on busy cores
    main()
