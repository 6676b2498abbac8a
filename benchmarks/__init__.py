"""Benchmarks: one module each, run as ``python -m benchmarks NAME``; results land under ``docs/benchmarks``.

A benchmark module has ``add_arguments(parser)`` and ``run(args)``. Fits (`benchmarks._trials`) are kept on
disk (`benchmarks._cache`), so that an interrupted benchmark goes on where it stopped.
"""

from __future__ import annotations

BENCHMARKS = {
    "gaussian_mixture": "the paper's simulation: vanilla, fine-tuned and TGDP against the exact answer",
    "heart_disease": "two hospitals: does augmentation with generated rows help a classifier?",
    "overlap": "the rule for the weights of the regularisers, over data sets of every overlap",
    "ford": "engine noise, FordA to FordB: does augmentation with generated spectra help a classifier?",
    "search": "what a grid search costs with memory=, beside its target-side fits",
    "training": "a gradient step of every network beside a bare PyTorch loop; start-up of a fit",
    "s4": "one optimiser step of the ECG score network, S4D layers beside S4's",
    "ecg": "12-lead ECG: the paper's Tables 2 and 3, on its data or on small open collections",
    "sampling": "speed of sampling: guided beside unguided, and beside diffusers' scheduler",
    "steps": "quality of samples against calls of the network, for every solver",
    "peers": "adult census: time, memory and quality beside CTGAN, TVAE and ForestDiffusion",
    "performance": "times of fit, sample, metrics, search; cost against size; every bar beside its figure",
    "compare": "two files of times that benchmarks wrote: what became slower or faster",
    "imports": "time to import the package, beside torch, scikit-learn and skorch",
    "mutation": "small errors put into the mathematics: how many do the tests notice?",
    "metrics": "speed and memory of the metrics beside the usual implementations",
}
