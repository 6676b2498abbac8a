"""What ``memory=`` keeps, what it must not mix up, and that a search trains the source once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from count_fits import CountFits
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from small_models import TINY, TINY_NETWORK, Floats, tiny_tgdp

from sktgdp import DiffusionGenerator, DomainClassifier, FineTunedDiffusionGenerator
from sktgdp.estimators._state.memory import FitMemory
from sktgdp.metrics import get_scorer
from sktgdp.model_selection import TargetKFold, pack_domains
from sktgdp.preprocessing import RowStandardizer

X_SRC, X_TGT = np.random.default_rng(0).normal(size=(2, 40, 2))
X_TGT = X_TGT[:20] + 0.5


@pytest.fixture
def count(tmp_path: Path) -> CountFits:
    return CountFits(tmp_path / "count")


def source(count: CountFits, **params: Any) -> DiffusionGenerator:
    return DiffusionGenerator(**{**TINY_NETWORK, "callbacks": [count], **params})


def draws(model: Any) -> Floats:
    return np.asarray(model.sample(5, random_state=3)[0])


# One model ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("as_memory", [str, Path, lambda p: joblib.Memory(p, verbose=0)])
def test_second_fit_reads(tmp_path: Path, count: CountFits, as_memory: Any) -> None:
    memory = as_memory(tmp_path / "kept")
    fits = [source(count, memory=memory, verbose=verbose).fit(X_SRC) for verbose in (0, 1)]
    assert count.n == 1
    without = DiffusionGenerator(**TINY_NETWORK).fit(X_SRC)
    for model in fits:
        np.testing.assert_array_equal(draws(model), draws(without))
        assert model.history_ == without.history_
    assert fits[1].verbose == 1


CHANGES: dict[str, dict[str, Any]] = {
    "seed": {"random_state": 1},
    "steps": {"max_steps": 3},
    "width": {"hidden_sizes": (8, 9)},
    "batch": {"batch_size": 17},
    "stopping": {"early_stopping": False},
    "units": {"transformer": RowStandardizer(common_scale=True)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_parameters_train_again(tmp_path: Path, count: CountFits, change: dict[str, Any]) -> None:
    memory = str(tmp_path / "kept")
    source(count, memory=memory).fit(X_SRC)
    changed = source(count, memory=memory, **change).fit(X_SRC)
    assert count.n == 2
    np.testing.assert_array_equal(draws(changed), draws(source(count, **change).fit(X_SRC)))


def test_changed_data_train_again(tmp_path: Path, count: CountFits) -> None:
    model = source(count, memory=tmp_path / "kept")
    X = X_SRC.copy()
    model.fit(X)
    X[-1, -1] += 1e-9
    model.fit(X)
    assert count.n == 2
    model.fit(X_SRC, np.arange(40) % 2)
    model.fit(X_SRC, np.arange(40) % 2 == 0)
    assert count.n == 4


def test_no_seed_is_one_seed(tmp_path: Path, count: CountFits) -> None:
    fits = [source(count, memory=tmp_path / "kept", random_state=None).fit(X_SRC) for _ in range(2)]
    assert count.n == 1
    np.testing.assert_array_equal(draws(fits[0]), draws(fits[1]))
    assert not np.array_equal(fits[0].sample(5)[0], fits[0].sample(5)[0]), "samples stay fresh"
    source(count, memory=tmp_path / "other", random_state=None).fit(X_SRC)
    assert count.n == 2


def test_advancing_state_trains_again(tmp_path: Path, count: CountFits) -> None:
    state = np.random.RandomState(0)
    for _ in range(2):
        source(count, memory=tmp_path / "kept", random_state=state).fit(X_SRC)
    assert count.n == 2


def test_torn_entry_is_computed_again(tmp_path: Path, count: CountFits) -> None:
    model = source(count, memory=str(tmp_path / "kept")).fit(X_SRC)
    entries = list((tmp_path / "kept").rglob("output.pkl"))
    assert len(entries) == 1
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:100])
    again = source(count, memory=str(tmp_path / "kept")).fit(X_SRC)
    assert count.n == 2
    np.testing.assert_array_equal(draws(model), draws(again))


def test_what_cannot_be_pickled(tmp_path: Path, count: CountFits) -> None:
    from sktgdp.nets import ScoreMLP

    model = source(count, module=lambda **kw: ScoreMLP(hidden_sizes=(4,), **kw), memory=tmp_path / "kept")
    with pytest.raises(TypeError, match=r"memory= and checkpoint= cannot tell.*top of a module"):
        model.fit(X_SRC)


def test_networks_go_by_their_weights(tmp_path: Path) -> None:
    memory, calls = FitMemory(tmp_path), []
    models = [DiffusionGenerator(**TINY_NETWORK).set_params(random_state=seed) for seed in (0, 1)]
    a, b = (model.fit(X_SRC).network_ for model in models)
    for network in (a, joblib.load(joblib.dump(a, tmp_path / "a")[0]), b):
        memory.fit("x", {"network": network}, lambda: calls.append(1))
    assert len(calls) == 2


# Transfer and search --------------------------------------------------------------------------------
def test_source_is_shared_between_estimators(tmp_path: Path, count: CountFits) -> None:
    tgdp = tiny_tgdp(source_model=source(count), memory=str(tmp_path / "kept"))
    fine_tuned = FineTunedDiffusionGenerator(source(count), memory=tmp_path / "kept", **TINY)
    for model in (tgdp, clone(tgdp).set_params(eta_cycle=1.0), fine_tuned):
        model.fit(X_SRC, None, X_TGT)
    assert count.n == 1
    assert tgdp.source_model_.memory == tgdp.memory
    tgdp.set_params(source_model__max_steps=3).fit(X_SRC, None, X_TGT)
    assert count.n == 2


@pytest.mark.parametrize("eta_cycle", [0.0, 1.0])
def test_memory_changes_nothing(tmp_path: Path, eta_cycle: float) -> None:
    plain = tiny_tgdp(eta_cycle=eta_cycle).fit(X_SRC, None, X_TGT)
    for _ in range(2):
        kept = tiny_tgdp(eta_cycle=eta_cycle, memory=str(tmp_path)).fit(X_SRC, None, X_TGT)
        np.testing.assert_array_equal(draws(kept), draws(plain))
        assert kept.history_ == plain.history_
        assert kept.n_parameters_ == plain.n_parameters_


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_search_trains_the_source_once(tmp_path: Path, count: CountFits, n_jobs: int) -> None:
    """Nine settings, five folds and the last fit: one source network."""
    X, _, domain = pack_domains(X_SRC, None, X_TGT, None)
    model = tiny_tgdp(source_model=source(count), n_networks=1, memory=str(tmp_path / "kept"))
    grid = {"eta_cycle": [0, 0.5, 1], "eta_consistency": [0, 1, 5]}
    cv, scoring = TargetKFold(5, sample_domain=domain), get_scorer("neg_energy_distance")
    search = GridSearchCV(model, grid, scoring=scoring, cv=cv, n_jobs=n_jobs)
    search.fit(X, sample_domain=domain)
    assert count.n == 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.sample(3)[0].shape == (3, 2)


def test_classifiers_are_trained_once_per_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    fit = DomainClassifier._cross_fit
    monkeypatch.setattr(DomainClassifier, "_cross_fit", lambda *args: (fits.append(1), fit(*args))[1])
    for eta in (0.0, 1.0, 5.0):
        tiny_tgdp(eta_consistency=eta, memory=str(tmp_path)).fit(X_SRC, None, X_TGT)
    assert len(fits) == 1
    changed = tiny_tgdp(memory=str(tmp_path)).set_params(domain_classifier__max_steps=3)
    changed.fit(X_SRC, None, X_TGT)
    tiny_tgdp(memory=str(tmp_path)).fit(X_SRC, None, X_TGT[:-1])
    assert len(fits) == 3


def test_frozen_source_needs_no_memory(tmp_path: Path, count: CountFits) -> None:
    frozen = FrozenEstimator(source(count).fit(X_SRC))
    for _ in range(2):
        tiny_tgdp(source_model=frozen, memory=str(tmp_path)).fit(X_SRC, None, X_TGT)
    assert count.n == 1


@pytest.mark.skipif(os.name != "posix", reason="there is no way to ask for a process")
@pytest.mark.parametrize("name", ["func_code.py.{0:032x}-{1}-1", "func_code.py.thread-1-pid-{1}"])
def test_what_killed_processes_were_writing_is_removed(name: str, tmp_path: Path) -> None:
    """The code of the function lies beside all results: only what nobody writes any more goes."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    memory = FitMemory(str(tmp_path))
    memory.fit("fit", {"a": 1}, lambda: 1)
    (result,) = tmp_path.rglob("output.pkl")
    code = result.parent.with_name("func_code.py")
    gone = [code.with_name(name.format(7, ended.pid)), result.with_name("output.pkl.thread-1-pid-2")]
    stays = [code.with_name(name.format(7, os.getpid())), code.with_name("func_code.py.mine")]
    for path in (*gone, *stays, code):
        path.touch()
    assert memory.fit("fit", {"a": 1}, lambda: 2) == 1
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in (*stays, result))
