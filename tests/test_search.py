"""Searches as users write them: both forms of routing, several processes, a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from count_fits import CountFits
from sklearn import config_context
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_validate

from sktgdp import (
    AugmentedClassifier,
    DiffusionGenerator,
    DomainClassifier,
    FineTunedDiffusionGenerator,
    TGDPGenerator,
)
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.metrics import get_scorer
from sktgdp.model_selection import StratifiedTargetKFold, pack_domains

X, Y, DOMAIN = pack_domains(*make_gaussian_mixture_shift(60, 30, random_state=0))
TINY: dict[str, Any] = {"max_steps": 2, "batch_size": 16, "hidden_sizes": (8,)}
GRID = {"eta_cycle": [0, 1], "eta_consistency": [0, 5]}


def generator(folder: Path | None = None) -> TGDPGenerator:
    callbacks = None if folder is None else [CountFits(folder / "count")]
    return TGDPGenerator(
        DiffusionGenerator(**TINY, callbacks=callbacks),
        domain_classifier=DomainClassifier(**TINY, n_folds=2),
        n_networks=1,
        memory=None if folder is None else str(folder / "kept"),
        random_state=0,
        **TINY,
    )


def test_routing_asks_for_domains_only() -> None:
    with config_context(enable_metadata_routing=True):
        model = generator().set_fit_request(sample_domain=True)
        with pytest.raises(TypeError, match=r"[Uu]nexpected"):
            model.set_fit_request(X_tgt=True)
        search = GridSearchCV(model, GRID, scoring=get_scorer("neg_fid"), cv=StratifiedTargetKFold(3))
        search.fit(X, Y, sample_domain=DOMAIN)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_routing_refuses_arrays_of_the_target() -> None:
    """Without routing the search would hold out source rows, and nobody could tell."""
    source, target = DOMAIN > 0, DOMAIN < 0
    with config_context(enable_metadata_routing=True):
        model = generator().set_fit_request(sample_domain=True)
        search = GridSearchCV(model, GRID, scoring=get_scorer("neg_fid"), cv=3)
        with pytest.raises(TypeError, match=r"unexpected argument.*X_tgt"):
            search.fit(X[source], Y[source], X_tgt=X[target], y_tgt=Y[target])


@pytest.mark.filterwarnings("ignore:.*got no target rows")
@pytest.mark.parametrize(
    "model", [generator(), FineTunedDiffusionGenerator(DiffusionGenerator(**TINY), max_steps=2)]
)
@pytest.mark.parametrize("name", ["neg_fid", "tstr_roc_auc", "log_likelihood"])
def test_forgotten_domains_give_no_scores(model: Any, name: str) -> None:
    """Fits of all rows as a source would all have the same score, which looked like one."""
    cv = StratifiedTargetKFold(2, sample_domain=DOMAIN)
    params = {"scoring": get_scorer(name), "cv": cv}
    with pytest.raises(ValueError, match=r"fitted without target rows.*sample_domain=domain"):
        cross_validate(model, X, Y, **params, error_score="raise")
    with pytest.warns(UserWarning, match=r"fitted without target rows"):
        assert np.isnan(cross_validate(model, X, Y, **params)["test_score"]).all()
    scores = cross_validate(model, X, Y, **params, params={"sample_domain": DOMAIN})["test_score"]
    assert np.isfinite(scores).all()


def test_several_scores_at_once() -> None:
    cv = StratifiedTargetKFold(2, sample_domain=DOMAIN)
    scoring = {name: get_scorer(name) for name in ("coverage", "tstr_roc_auc")}
    params = {"sample_domain": DOMAIN}
    found = cross_validate(generator(), X, Y, scoring=scoring, cv=cv, params=params, n_jobs=2)
    assert all(np.isfinite(found[f"test_{name}"]).all() for name in scoring)


def test_halving() -> None:
    search = HalvingGridSearchCV(
        generator(), GRID, resource="max_steps", min_resources=1, max_resources=4, factor=2,
        scoring=get_scorer("neg_energy_distance"), return_train_score=False,
        cv=StratifiedTargetKFold(2, sample_domain=DOMAIN, random_state=0),
    )  # fmt: skip
    search.fit(X, Y, sample_domain=DOMAIN)
    assert search.best_estimator_.max_steps > 1


def test_weights_of_an_augmented_classifier() -> None:
    with config_context(enable_metadata_routing=True):
        model = AugmentedClassifier(generator=generator().set_fit_request(sample_domain=True), n_synthetic=20)
        model.set_fit_request(sample_domain=True)
        grid = {"generator__eta_cycle": [0, 1]}
        search = GridSearchCV(model, grid, cv=StratifiedTargetKFold(2), scoring="roc_auc")
        search.fit(X, Y, sample_domain=DOMAIN)
    assert search.best_score_ > 0.0


@pytest.fixture
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    # separate processes, which share nothing with this one but the disk
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        yield client


def test_on_a_cluster(cluster: Any, tmp_path: Path) -> None:
    """The search runs as it is, trains the source once, and agrees with one process."""

    def search(model: TGDPGenerator) -> GridSearchCV:
        cv = StratifiedTargetKFold(2, sample_domain=DOMAIN, random_state=0)
        return GridSearchCV(model, GRID, scoring=get_scorer("neg_energy_distance"), cv=cv)

    here = search(generator()).fit(X, Y, sample_domain=DOMAIN)
    with joblib.parallel_config(backend="dask", scatter=[X, Y]):
        there = search(generator(tmp_path)).fit(X, Y, sample_domain=DOMAIN)
    assert CountFits(tmp_path / "count").n == 1
    for name in ("mean_test_score", "split0_test_score"):
        np.testing.assert_allclose(there.cv_results_[name], here.cv_results_[name], rtol=1e-5)
