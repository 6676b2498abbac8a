"""One object that says how good synthetic rows are."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from sktgdp.metrics._checks import check_count
from sktgdp.plotting._draws import draw_like
from sktgdp.report._figures import (
    DIVERSITY,
    FIDELITY,
    Figure,
    Section,
    column_figures,
    comparisons,
    make_figure,
)
from sktgdp.report._page import report_body, report_page
from sktgdp.report._pictures import Picture, draw_pictures
from sktgdp.report._purpose import label_columns, privacy, utility
from sktgdp.report._samples import TRAINING_ROWS, Samples, bounded, collect
from sktgdp.report._text import report_text

__all__ = ["QualityReport"]


class QualityReport:
    """Fidelity, diversity, utility and privacy of synthetic rows, each figure beside what real rows score.

    Every distance depends on the number of rows and on the data, so a figure alone says little. The report
    therefore cuts the judging real rows into two random halves. It compares the synthetic rows with one half,
    and the other half with it as well: the second figure, printed beside the first, is what a perfect
    generator would reach. Both are means over a few such splits, with equal numbers of rows. A verdict
    ("good", "fair", "concern") and a line of words follow from the two.

    Parameters
    ----------
    real : DataFrame or array-like of shape (n, d) or (n, channels, length)
        Real rows that the generator was trained on: those of the target.
    synthetic : DataFrame or array-like
        Synthetic rows with the same columns; frames may hold them in another order.
    y_real, y_synthetic : array-like of shape (n,) or (n, k), optional
        Both or none: classes, or a multi-label indicator. Without them there is no section on utility.
    holdout : DataFrame or array-like, optional
        Real rows that the generator never saw. They then judge in place of ``real``, which no copied row
        can exploit; without them the report says so. At least 12 judging rows are needed.
    y_holdout : array-like, optional
        Labels of ``holdout``, given exactly where there are both.
    features : callable, optional
        Turns rows as they were given into an array of shape (n, k) in which they are compared, such as
        ``classifier.embed`` of a `SeriesClassifier`. By default numbers are put over the standard deviation
        of the real rows and categories become indicators; from 65 coordinates on, at most 64 principal
        components are taken, one for every four rows.
    classifier : classifier with ``predict_proba``, optional
        For the section on utility, cloned and fitted on each class against the rest; a logistic regression
        by default.
    max_rows : int, default=1000
        Most rows in each half of a comparison, which bounds the time to seconds: twice as many judging and
        synthetic rows are used, and twenty times as many training rows. The report names what is left out.
    n_repeats : int, default=5
        Splits that the figures are averaged over.
    random_state : int, default=0
        Equal seeds give equal reports.
    title : str
        Heading of the page.

    Attributes
    ----------
    sections_ : list of Section
        Fidelity, Diversity, Utility, Privacy; each with ``figures`` (``key``, ``name``, ``value``,
        ``reference``, ``verdict``, ``words``) and ``notes``.
    columns_ : list of Figure
        Distance of every column by itself, the largest first: Kolmogorov–Smirnov for numbers and times, total
        variation for categories and labels, both in [0, 1].
    notes_ : list of str
    lead_ : str
        Numbers of rows in a sentence.

    Raises
    ------
    ValueError
        If columns or labels do not match, or there are too few rows.
    TypeError
        If a column of numbers holds something else in another sample.

    Examples
    --------
    >>> import numpy as np
    >>> from sktgdp.report import QualityReport
    >>> rng = np.random.default_rng(0)
    >>> report = QualityReport(rng.normal(size=(200, 3)), rng.normal(size=(200, 3)), n_repeats=2)
    >>> [section.name for section in report.sections_]
    ['Fidelity', 'Diversity', 'Privacy']
    """

    def __init__(
        self,
        real: Any,
        synthetic: Any,
        *,
        y_real: Any = None,
        y_synthetic: Any = None,
        holdout: Any = None,
        y_holdout: Any = None,
        features: Callable[[Any], Any] | None = None,
        classifier: Any = None,
        max_rows: int = 1000,
        n_repeats: int = 5,
        random_state: int = 0,
        title: str = "Quality of synthetic data",
    ) -> None:
        check_count(max_rows, "max_rows", minimum=6)
        check_count(n_repeats, "n_repeats")
        check_count(random_state, "random_state", minimum=0)
        if not isinstance(title, str):
            raise TypeError(f"title must be text, got {title!r}.")
        _check_labels(y_real, y_synthetic, holdout is not None, y_holdout)
        for X, y in ((real, y_real), (synthetic, y_synthetic), (holdout, y_holdout)):
            if y is not None:
                check_consistent_length(X, y)
        self.title, self.random_state = title, random_state
        at_most = 2 * max_rows if holdout is None else TRAINING_ROWS * max_rows
        self._samples = collect(
            bounded(real, y_real, "real", at_most, random_state),
            bounded(synthetic, y_synthetic, "synthetic", 2 * max_rows, random_state + 1),
            None if holdout is None
            else bounded(holdout, y_holdout, "holdout", 2 * max_rows, random_state + 2),
            features, n_repeats, max_rows, random_state,
        )  # fmt: skip
        self._compute(classifier)

    def _compute(self, classifier: Any) -> None:
        samples = self._samples
        labelled = samples.real.y is not None
        if labelled:
            samples.columns.extend(label_columns(samples))
        self.columns_ = column_figures(samples)
        self.sections_ = [
            Section("Fidelity", "Do they follow the law of the real rows?", self._fidelity()),
            Section("Diversity", "Is everything covered?", comparisons(samples, DIVERSITY)),
            *([utility(samples, classifier)] if labelled else []),
            privacy(samples),
        ]
        self.notes_ = list(samples.notes)
        self.lead_ = _lead(samples)

    def _fidelity(self) -> list[Figure]:
        """The columns in two figures, then the distances of whole rows."""
        pairs = np.array([[figure.value, figure.reference] for figure in self.columns_])
        farthest, name = self.columns_[0], "distance of a column, mean over columns"
        columns = [
            make_figure("columns", name, pairs.mean(axis=0).tolist(), "low", "distance"),
            replace(
                farthest, key="farthest_column", name=f"distance of {farthest.name}, the farthest column"
            ),
        ]
        several = self._samples.features[0].shape[1] > 1
        return columns + comparisons(self._samples, FIDELITY[0 if several else 1 :])

    @classmethod
    def from_estimator(
        cls,
        generator: Any,
        real: Any,
        y_real: Any = None,
        *,
        n_samples: int | None = None,
        random_state: int = 0,
        **options: Any,
    ) -> QualityReport:
        """Report on rows that a fitted generator samples.

        Parameters
        ----------
        generator : fitted generator
        real : DataFrame or array-like
            The target rows that it was fitted on.
        y_real : array-like, optional
            Their labels.
        n_samples : int, optional
            Rows to sample; as many as ``real`` has by default, but at least 500.
        random_state : int, default=0
        **options
            ``holdout``, ``y_holdout`` and all else, as for the class.

        Returns
        -------
        QualityReport
        """
        X, y = draw_like(generator, real, n_samples, random_state)
        return cls(
            real, X, y_real=y_real, y_synthetic=None if y_real is None else y, random_state=random_state,
            **options,
        )  # fmt: skip

    def __str__(self) -> str:
        return report_text(self.title, self.lead_, self.sections_, self.columns_, self.notes_)

    def __repr__(self) -> str:
        verdicts = [f"{section.name}: {section.summary or 'no figures'}" for section in self.sections_]
        return f"<QualityReport {'; '.join(verdicts)}>"

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists, strings and numbers, which `json.dumps` takes.

        Returns
        -------
        dict
            With "title", "rows", "random_state", "sections", "columns" and "notes".
        """
        samples = self._samples
        parts = {"real": samples.real, "synthetic": samples.synthetic}
        parts |= {"holdout": samples.judged} if samples.has_holdout else {}
        return {
            "title": self.title,
            "rows": {name: {"given": rows.n_given, "used": len(rows)} for name, rows in parts.items()},
            "random_state": self.random_state,
            "sections": [
                asdict(section) | {"verdict": section.verdict, "summary": section.summary}
                for section in self.sections_
            ],
            "columns": [asdict(figure) for figure in self.columns_],
            "notes": list(self.notes_),
        }

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as one page that needs no other file and no network.

        Parameters
        ----------
        path : str or Path
            File to write; an existing one is replaced.

        Returns
        -------
        Path

        Raises
        ------
        ImportError
            Without matplotlib, which the pictures need: install ``sktgdp[plot]``.
        """
        file = Path(path)
        file.write_text(self._page(draw_pictures(self._samples, self.columns_)), encoding="utf-8")
        return file

    def _page(self, pictures: list[Picture]) -> str:
        body = report_body(self.title, self.lead_, self.sections_, self.columns_, self.notes_, pictures)
        return report_page(self.title, body)

    def _repr_html_(self) -> str:
        """For notebooks: the page in a frame of its own, so that no style meets the notebook's."""
        try:
            pictures = draw_pictures(self._samples, self.columns_)
        except ImportError:
            pictures = []
        page = html.escape(self._page(pictures), quote=True)
        style = "width:100%;height:720px;border:1px solid #ccc"
        return f'<iframe title="{html.escape(self.title)}" style="{style}" srcdoc="{page}"></iframe>'


def _check_labels(y_real: Any, y_synthetic: Any, has_holdout: bool, y_holdout: Any) -> None:
    if (y_real is None) != (y_synthetic is None):
        raise ValueError("Give y_real and y_synthetic, or neither of them.")
    if (y_holdout is not None) != (has_holdout and y_real is not None):
        raise ValueError("Give y_holdout exactly where holdout and y_real are given.")
    shapes = {np.asarray(y).shape[1:] for y in (y_real, y_synthetic, y_holdout) if y is not None}
    if len(shapes) > 1:
        raise ValueError(f"The labels must have one form, got rows of shapes {sorted(shapes)}.")
    if y_real is not None and not shapes - {()}:
        classes = [sorted(map(str, np.unique(np.asarray(y)))) for y in (y_real, y_synthetic)]
        if not set(classes[0]) & set(classes[1]):
            raise ValueError(
                f"y_real and y_synthetic have no class in common: {classes[0][:5]} and {classes[1][:5]}. "
                "Code both alike."
            )


def _lead(samples: Samples) -> str:
    judges = "held-out" if samples.has_holdout else "training"
    size = len(samples.splits[0].judged)
    return (
        f"{samples.synthetic.n_given:,} synthetic rows, {samples.real.n_given:,} real training rows"
        + (f", {samples.judged.n_given:,} held-out real rows" if samples.has_holdout else "")
        + f". Judged by the {judges} rows, {size:,} at a time; in the column 'real', other real rows "
        + "stand in for the synthetic ones."
    )
