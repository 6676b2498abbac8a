"""Two domains in one search: packing, splitters that hold out target rows only, and ways to say which."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.metrics import get_scorer
from sktgdp.model_selection import (
    StratifiedTargetKFold,
    TargetKFold,
    TargetShuffleSplit,
    pack_domains,
    unpack_domains,
)

Ints = NDArray[np.int64]
SPLITTERS = pytest.mark.parametrize("splitter", [TargetKFold, StratifiedTargetKFold, TargetShuffleSplit])
DOMAIN = np.tile([2, -1, 0], 10)
LABELS = np.tile(["a", "a", "a", "b", "b", "b"], 5)
TARGET = np.flatnonzero(DOMAIN < 0)


def rows(n: int, *shape: int, start: int = 0) -> Ints:
    """Rows that can be told apart."""
    return np.arange(start, start + n * int(np.prod(shape))).reshape(n, *shape)


# Packing --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (1, 2, 3)])
@pytest.mark.parametrize("labels", [None, (), (3,)])
def test_pack_and_unpack_arrays(shape: tuple[int, ...], labels: tuple[int, ...] | None) -> None:
    X_src, X_tgt = rows(4, *shape), rows(3, *shape, start=1000)
    y_src, y_tgt = (None, None) if labels is None else (rows(4, *labels), rows(3, *labels))
    X, y, domain = pack_domains(X_src, y_src, X_tgt, y_tgt)
    assert domain.tolist() == [1, 1, 1, 1, -1, -1, -1]
    np.testing.assert_array_equal(X, np.concatenate([X_src, X_tgt]))
    unpacked = unpack_domains(X, y, domain)
    assert (unpacked[1] is None) == (unpacked[3] is None) == (labels is None)
    for got, packed in zip(unpacked, (X_src, y_src, X_tgt, y_tgt), strict=True):
        np.testing.assert_array_equal(got, packed, strict=True)


def test_pack_and_unpack_frames() -> None:
    def frame(n: int) -> pd.DataFrame:
        size = pd.Categorical(["s", "m"] * (n // 2), categories=["s", "m", "l"], ordered=True)
        return pd.DataFrame({"age": np.arange(n), "size": size, "ok": True}, index=range(50, 50 + n))

    y_src, y_tgt = (pd.Series(list(labels), dtype="category", name=labels) for labels in ("abab", "ab"))
    y_tgt = y_tgt.cat.set_categories(["b", "a"])  # unordered: the same categories
    X, y, domain = pack_domains(frame(4), y_src, frame(2), y_tgt)
    assert X.index.tolist() == y.index.tolist() == list(range(6))
    assert X.dtypes.tolist() == frame(2).dtypes.tolist()
    assert y.dtype == "category"
    X_src, y_src_again, X_tgt, y_tgt_again = unpack_domains(X, y, domain)
    pd.testing.assert_frame_equal(X_src.reset_index(drop=True), frame(4).reset_index(drop=True))
    pd.testing.assert_frame_equal(X_tgt.reset_index(drop=True), frame(2).reset_index(drop=True))
    assert [*y_src_again, *y_tgt_again] == [*y_src, *y_tgt]


def test_pack_lists_and_promoted_numbers() -> None:
    X, y, domain = pack_domains([[1, 2]], ["a"], [[0.5, 1.0]], ["long"])
    assert X.dtype == float
    assert y.tolist() == ["a", "long"]
    assert len(domain) == 2


def test_unpack_any_order() -> None:
    X_src, y_src, X_tgt, y_tgt = unpack_domains(rows(4, 1), list("abcd"), [-1.0, 0.0, 3.0, -2.0])
    assert (X_src.ravel().tolist(), y_src) == ([1, 2], ["b", "c"])
    assert (X_tgt.ravel().tolist(), y_tgt) == ([0, 3], ["a", "d"])


def column(values: list[Any], dtype: Any = None) -> pd.DataFrame:
    return pd.DataFrame({"c": pd.Series(values, dtype=dtype)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, None, rows(2, 1), None), "X_src is None"),
        ((rows(2, 1), None, None, None), "X_tgt is None"),
        ((rows(2, 1), [0, 1], rows(2, 1), None), "y_src was given and y_tgt was not"),
        ((rows(2, 1), None, rows(2, 1), [0, 1]), "y_tgt was given and y_src was not"),
        ((rows(2, 1), None, rows(2, 2), None), r"X_src and X_tgt must agree .*\(2, 1\) and \(2, 2\)"),
        ((rows(2, 1), [0, 1], rows(2, 1), [[0, 1], [1, 0]]), r"y_src and y_tgt must agree"),
        ((rows(2, 1), [0], rows(2, 1), [0, 1]), "y_src must hold one label per row of X_src: found 1"),
        ((rows(2, 1), [0, 1], rows(2, 1), [0]), "y_tgt must hold one label per row of X_tgt: found 1"),
        ((rows(2, 1), [0, 1], rows(2, 1), ["a", "b"]), "y_src and y_tgt mix text with numbers"),
        ((csr_array(rows(2, 1)), None, rows(2, 1), None), "X_src and X_tgt must be dense"),
        ((pd.DataFrame(rows(2, 1)), None, rows(2, 1), None), "of one kind, got DataFrame and ndarray"),
        (
            (column([1]), None, column([1]).add_prefix("d"), None),
            r"in the same order, got \['c'\] and \['dc'\]",
        ),
        (
            (column(["a"], "category"), None, column(["b"], "category"), None),
            "'c' must be .* X_src and X_tgt",
        ),
        ((column(["a"], "category"), None, column(["a"]), None), "Column 'c' must be of one kind"),
        ((column([1]), None, column(["a"]), None), "Column 'c' must be of one kind"),
        (
            ([0], column(["a"], "category").c, [0], column(["b"], "category").c),
            "in y_src and y_tgt, and have",
        ),
    ],
)
def test_pack_refuses(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack_domains(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((rows(3, 1), None, None), "sample_domain is None"),
        ((rows(3, 1), None, [1, -1]), "sample_domain hold 2 numbers for 3 rows"),
        ((rows(3, 1), [0, 1], [1, -1, -1]), "y must hold one label per row of X: found 2"),
        ((rows(3, 1), None, ["s", "s", "t"]), "sample_domain cannot be used: .*must hold numbers"),
        ((rows(3, 1), None, [1, -1, np.nan]), "sample_domain cannot be used: .*without NaN"),
    ],
)
def test_unpack_refuses(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpack_domains(*arguments)


# Splits ---------------------------------------------------------------------------------------------
@st.composite
def domains_and_splitters(draw: st.DrawFn) -> tuple[list[int], list[int], Any]:
    """Domains in any order, labels with enough target rows each, and a splitter for them."""
    n_splits = draw(st.integers(2, 4))
    marks = [1] * draw(st.integers(0, 20)) + [-1] * draw(st.integers(2 * n_splits, 30))
    domain = draw(st.permutations(marks))
    # the classes of target rows alternate, so that both are frequent enough
    labels = np.where(np.array(domain) < 0, np.cumsum(np.array(domain) < 0) % 2, 5).tolist()
    seed = draw(st.integers(0, 100))
    makers: list[Callable[[], Any]] = [
        lambda: TargetKFold(n_splits, shuffle=False),
        lambda: TargetKFold(n_splits, random_state=seed),
        lambda: StratifiedTargetKFold(n_splits, random_state=seed),
        lambda: TargetShuffleSplit(n_splits, test_size=0.3, random_state=seed),
    ]
    return domain, labels, draw(st.sampled_from(makers))()


@settings(max_examples=60, deadline=None)
@given(domains_and_splitters())
def test_source_trains_and_target_is_held_out(drawn: tuple[list[int], list[int], Any]) -> None:
    domain, y, splitter = drawn
    X = np.zeros((len(domain), 2))
    source, target = (set(np.flatnonzero(np.array(domain) == mark).tolist()) for mark in (1, -1))
    splits = list(splitter.split(X, y, sample_domain=domain))
    assert len(splits) == splitter.get_n_splits(X, y, domain)
    for train, test in splits:
        assert source <= set(train.tolist())
        assert set(test.tolist()) <= target
        assert len(test)
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(len(domain)))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()
    if not isinstance(splitter, TargetShuffleSplit):
        assert sorted(np.concatenate([test for _, test in splits]).tolist()) == sorted(target)
    for (train, test), (again, test_again) in zip(splits, splitter.split(X, y, domain), strict=True):
        np.testing.assert_array_equal(train, again)
        np.testing.assert_array_equal(test, test_again)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (TargetKFold(3, random_state=5), KFold(3, shuffle=True, random_state=5)),
        (StratifiedTargetKFold(3, random_state=5), StratifiedKFold(3, shuffle=True, random_state=5)),
        (StratifiedTargetKFold(3, shuffle=False), StratifiedKFold(3)),
        (
            TargetShuffleSplit(3, test_size=2, train_size=0.5, random_state=5),
            ShuffleSplit(3, test_size=2, train_size=0.5, random_state=5),
        ),
    ],
)
def test_agrees_with_scikit_learn_on_the_target(ours: Any, theirs: Any) -> None:
    splits = ours.split(DOMAIN, LABELS, DOMAIN)
    for (train, test), expected in zip(splits, theirs.split(TARGET, LABELS[TARGET]), strict=True):
        np.testing.assert_array_equal(train[DOMAIN[train] < 0], np.sort(TARGET[expected[0]]))
        np.testing.assert_array_equal(test, np.sort(TARGET[expected[1]]))


def test_random_state() -> None:
    def tests(splitter: Any) -> list[list[int]]:
        return [test.tolist() for _, test in splitter.split(DOMAIN, LABELS, DOMAIN)]

    assert tests(TargetKFold(2, random_state=0)) != tests(TargetKFold(2, random_state=1))
    advancing = TargetKFold(2, random_state=np.random.RandomState(0))
    assert tests(advancing) != tests(advancing)


@SPLITTERS
def test_where_domains_come_from(splitter: Any) -> None:
    """The argument before groups before the constructor's."""

    def held_out(cv: Any, **domains: Any) -> set[int]:
        tests = [test for _, test in cv.split(DOMAIN, LABELS, **domains)]
        return set(DOMAIN[np.concatenate(tests)].tolist())

    other = np.where(DOMAIN == 0, -1, 1)  # another third of the rows
    params = {"random_state": 0}
    bare, built = splitter(3, **params), splitter(3, sample_domain=DOMAIN, **params)
    assert held_out(built) == held_out(bare, groups=DOMAIN) == held_out(bare, sample_domain=DOMAIN) == {-1}
    assert held_out(built, groups=other) == held_out(built, sample_domain=other) == {0}
    assert held_out(bare, groups=DOMAIN, sample_domain=other) == {0}
    assert held_out(bare, groups=pd.Series(DOMAIN, index=DOMAIN[::-1]).astype(float)) == {-1}


@SPLITTERS
@pytest.mark.parametrize(
    ("built", "domains", "message"),
    [
        (None, {}, r"three ways: at construction, \w+\(sample_domain=domain\); as groups.*metadata routing"),
        (DOMAIN[1:], {}, r"given as \w+\(sample_domain=...\) hold 29 numbers for 30 rows.*must be cut"),
        (None, {"groups": DOMAIN[1:]}, "given as groups hold 29 numbers for 30 rows"),
        (DOMAIN, {"sample_domain": DOMAIN[1:]}, "given as sample_domain hold 29 numbers for 30 rows"),
        (None, {"groups": LABELS}, "given as groups cannot be used: .*must hold numbers"),
        (None, {"groups": DOMAIN**2}, "given as groups mark no row as target: all of 30"),
    ],
)
def test_refuses_domains(splitter: Any, built: Any, domains: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(splitter(3, sample_domain=built).split(DOMAIN, LABELS, **domains))


@pytest.mark.parametrize(
    ("splitter", "y", "message"),
    [
        (TargetKFold(11), None, "n_splits = 11 is more than the 10 target rows"),
        (StratifiedTargetKFold(11), LABELS, "n_splits = 11 is more than the 10 target rows"),
        (StratifiedTargetKFold(6), LABELS, "Class 'a' has 5 target rows, fewer than n_splits = 6"),
        (StratifiedTargetKFold(2), None, "needs y"),
        (StratifiedTargetKFold(2), np.eye(30, 3, dtype=int), "Use TargetKFold for multi-label targets"),
        (StratifiedTargetKFold(2), np.linspace(0.1, 1, 30), "continuous"),
        (TargetShuffleSplit(2, test_size=11), None, "test_size=11"),
        (TargetKFold(2), LABELS[1:], "inconsistent"),
    ],
)
def test_refuses_to_split(splitter: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(splitter.split(DOMAIN, y, DOMAIN))


def test_refuses_parameters() -> None:
    with pytest.raises(ValueError, match="n_splits"):
        TargetKFold(1)
    with pytest.raises(ValueError, match="random_state"):
        StratifiedTargetKFold(shuffle=False, random_state=0)


def test_rare_source_classes_and_no_source_rows_are_fine() -> None:
    y = LABELS.copy()
    y[0] = "only in the source"
    assert len(list(StratifiedTargetKFold(5).split(DOMAIN, y, DOMAIN))) == 5
    assert len(list(TargetKFold(5).split(DOMAIN, None, -np.ones(30)))) == 5


@SPLITTERS
def test_objects(splitter: Any) -> None:
    cv = splitter(3, sample_domain=DOMAIN, random_state=0)
    assert repr(cv).startswith(f"{splitter.__name__}(n_splits=3, random_state=0,")
    assert cv.get_n_splits() == 3
    for copied in (pickle.loads(pickle.dumps(cv)), clone(cv, safe=False)):
        both = zip(cv.split(DOMAIN, LABELS), copied.split(DOMAIN, LABELS), strict=True)
        assert all((train == again).all() for (train, _), (again, _) in both)


# Searches -------------------------------------------------------------------------------------------
class Count(BaseEstimator):
    """Scores minus ``error``, after checks of what the search handed over: column 0 of X is the domain."""

    def __init__(self, error: float = 0.0, max_steps: int = 1) -> None:
        self.error, self.max_steps = error, max_steps

    def fit(self, X: Any, y: Any = None, *, sample_domain: Any = None) -> Count:
        np.testing.assert_array_equal(X[:, 0], sample_domain)
        self.n_source_ = int((X[:, 0] >= 0).sum())
        return self


def score_count(estimator: Count, X: Any, y: Any = None) -> float:
    assert estimator.n_source_ == 20
    assert (X[:, 0] < 0).all()
    return -estimator.error - 1.0 / estimator.max_steps


ERRORS = {"error": [2.0, 1.0, 3.0]}
STACKED = np.column_stack([DOMAIN, np.arange(30)])


@SPLITTERS
def test_search_without_routing(splitter: Any) -> None:
    """The estimator gets sample_domain; the splitter groups, or what it was built with."""
    built = splitter(3, sample_domain=DOMAIN, random_state=0)
    search = GridSearchCV(Count(), ERRORS, scoring=score_count, cv=built, error_score="raise")
    search.fit(STACKED, LABELS, sample_domain=DOMAIN)
    assert search.best_params_ == {"error": 1.0}
    search.set_params(cv=splitter(3, random_state=0)).fit(
        STACKED, LABELS, sample_domain=DOMAIN, groups=DOMAIN
    )
    assert search.best_params_ == {"error": 1.0}
    assert search.n_splits_ == 3


@SPLITTERS
@pytest.mark.parametrize("built", [None, DOMAIN])
def test_search_with_routing(splitter: Any, built: Any) -> None:
    with config_context(enable_metadata_routing=True):
        cv = splitter(3, sample_domain=built, random_state=0)
        count = Count().set_fit_request(sample_domain=True)
        search = GridSearchCV(count, ERRORS, scoring=score_count, cv=cv, error_score="raise")
        assert search.fit(STACKED, LABELS, sample_domain=DOMAIN).best_params_ == {"error": 1.0}
        scores = cross_validate(
            count, STACKED, LABELS, scoring=score_count, cv=cv, params={"sample_domain": DOMAIN}
        )
        assert scores["test_score"].tolist() == [-1.0] * 3


def test_nested_searches_cut_the_domains() -> None:
    def score_search(search: GridSearchCV, X: Any, y: Any = None) -> float:
        return score_count(search.best_estimator_, X)

    with config_context(enable_metadata_routing=True):
        count = Count().set_fit_request(sample_domain=True)
        inner = GridSearchCV(count, ERRORS, scoring=score_count, cv=TargetKFold(3), error_score="raise")
        options = {"scoring": score_search, "cv": TargetKFold(2), "error_score": "raise"}
        scores = cross_validate(inner, STACKED, LABELS, **options, params={"sample_domain": DOMAIN})
    assert scores["test_score"].tolist() == [-2.0, -2.0]


def test_requests() -> None:
    with config_context(enable_metadata_routing=True):
        cv = TargetKFold().set_split_request(groups=False)
        assert cv.get_metadata_routing().split.requests == {"groups": False, "sample_domain": True}
    for base in TargetKFold.__mro__:  # older versions of scikit-learn go by the alphabet, see there
        names = [name for name in vars(base) if "__metadata_request__split" in name]
        assert all(name <= "_TargetSplitter__metadata_request__split" for name in names)


@pytest.mark.parametrize("routing", [False, True])
def test_halving_over_steps(routing: bool) -> None:
    with config_context(enable_metadata_routing=routing):
        count = Count().set_fit_request(sample_domain=True) if routing else Count()
        cv = StratifiedTargetKFold(2, sample_domain=DOMAIN, random_state=0)
        options = {"resource": "max_steps", "max_resources": 9, "return_train_score": False}
        search = HalvingGridSearchCV(
            count, ERRORS, scoring=score_count, cv=cv, error_score="raise", **options
        )
        search.fit(STACKED, LABELS, sample_domain=DOMAIN)
    assert search.best_params_ == {"error": 1.0, "max_steps": 9}


TINY = {"max_steps": 2, "batch_size": 16, "hidden_sizes": (8, 8), "random_state": 0}


@pytest.mark.parametrize("routing", [False, True])
def test_search_over_a_generator(routing: bool) -> None:
    classifier = DomainClassifier(max_steps=2, n_folds=2, batch_size=16, hidden_sizes=(8,))
    tgdp = TGDPGenerator(DiffusionGenerator(**TINY), domain_classifier=classifier, n_networks=1, **TINY)
    X, y, domain = pack_domains(*make_gaussian_mixture_shift(n_source=40, n_target=24, random_state=0))
    with config_context(enable_metadata_routing=routing):
        if routing:
            tgdp.set_fit_request(sample_domain=True)
        cv = StratifiedTargetKFold(2, sample_domain=None if routing else domain, random_state=0)
        scoring = {name: get_scorer(name) for name in ("neg_fid", "log_likelihood", "tstr_roc_auc")}
        grid = {"eta_cycle": [0.0, 1.0]}
        search = GridSearchCV(tgdp, grid, scoring=scoring, refit="neg_fid", cv=cv, error_score="raise")
        search.fit(X, y, sample_domain=domain)
    assert np.isfinite(search.cv_results_["mean_test_log_likelihood"]).all()
    assert search.best_estimator_.sample(3)[0].shape == (3, 2)
