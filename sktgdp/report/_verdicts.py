"""What a figure means, in words: each is read beside what real rows score against real rows.

A verdict is "good", "fair", "concern" or, where nothing can be said, "unknown". The limits are stated once,
here, and printed with the report's documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

__all__ = ["RULES", "Rule", "Verdict", "VerdictName", "worst"]

VerdictName = Literal["good", "fair", "concern", "unknown"]

CLOSE, FAR = 1.5, 3.0  # times the distance of real rows from real rows
SMALL = 0.05  # standard deviations, shares, correlations: of no practical weight, however near real rows come
TOLD_APART, TOLD_CLEARLY, COPIES = 0.60, 0.75, 0.40  # areas under the curve of the two-sample test
LITTLE, MUCH = 0.07, 0.2  # of a share below the share of real rows
CROWDED, SPARSE = 1.25, 0.75  # times the density of real rows
AS_USEFUL, LESS_USEFUL = 0.02, 0.10  # of the area under the curve below training on real rows
AS_FAR, CLOSER = 0.8, 0.5  # times the distance of new real rows to the training rows
FEW_COPIES, SOME_COPIES = 0.001, 0.01  # of the rows more than among new real rows
LITTLE_MEMORY, SOME_MEMORY = 0.05, 0.15  # likewise, of memorised rows


class Verdict(NamedTuple):
    """A name and a line of words."""

    name: VerdictName
    words: str


Rule = Callable[[float, float], Verdict]


def _graded(good: bool, fair: bool, words: tuple[str, str, str]) -> Verdict:
    """The first that holds of good, fair, concern, with its words."""
    names: tuple[VerdictName, VerdictName, VerdictName] = ("good", "fair", "concern")
    place = 0 if good else 1 if fair else 2
    return Verdict(names[place], words[place])


def distance(value: float, reference: float) -> Verdict:
    """A distance between samples, lower is better."""
    if value <= CLOSE * reference:
        return Verdict("good", "as close as real rows are to each other")
    if value <= SMALL:
        return Verdict("good", "very close, if not quite as close as real rows")
    if reference <= 0.0:
        return Verdict("concern", "differs where real rows do not differ at all")
    words = f"{value / reference:.1f} times as far as real rows are from each other"
    return Verdict("fair" if value <= max(FAR * reference, 2 * SMALL) else "concern", words)


def squared_distance(value: float, reference: float) -> Verdict:
    """As `distance`, for the square of one."""
    return distance(max(value, 0.0) ** 0.5, max(reference, 0.0) ** 0.5)


def two_sample(value: float, reference: float) -> Verdict:
    """Area under the curve of a classifier that tells synthetic rows from real ones."""
    if value < COPIES:
        return Verdict("concern", "rows so near to these real rows that they look like copies of them")
    words = (
        "a classifier hardly tells them from real rows",
        "a classifier tells them from real rows in part",
        f"a classifier ranks {value:.0%} of the pairs rightly: look at the columns below",
    )
    return _graded(value <= TOLD_APART, value <= TOLD_CLEARLY, words)


def _share(words: tuple[str, str, str]) -> Rule:
    def rule(value: float, reference: float) -> Verdict:
        return _graded(value >= reference - LITTLE, value >= reference - MUCH, words)

    return rule


coverage = _share((
    "real rows are covered as real rows cover each other",
    "some real rows have no synthetic row near them",
    "many real rows have no synthetic row near them: modes are missing or misplaced",
))  # fmt: skip
recall = _share((
    "the synthetic rows reach as far as real rows do",
    "some real rows lie outside the reach of the synthetic ones",
    "many real rows lie outside the reach of the synthetic ones",
))  # fmt: skip
precision = _share((
    "synthetic rows lie among the real ones",
    "some synthetic rows lie outside the real ones",
    "many synthetic rows lie outside the real ones",
))  # fmt: skip


def density(value: float, reference: float) -> Verdict:
    """How many real neighbourhoods a synthetic row lies in: too many is crowding, too few is noise."""
    ratio = value / reference if reference > 0 else 1.0
    if ratio > CROWDED:
        return Verdict("fair", "synthetic rows crowd where real rows are densest")
    words = (
        "synthetic rows are packed as real ones are",
        "synthetic rows lie in sparser places than real ones",
        "synthetic rows lie far from the crowd of real ones",
    )
    return _graded(ratio >= SPARSE, ratio >= SPARSE / 2, words)


def utility(value: float, reference: float) -> Verdict:
    """A score of a classifier trained on the rows, beside one trained on real rows."""
    words = (
        "worth as much as the real training rows, or more",
        "worth somewhat less than the real training rows",
        "worth clearly less than the real training rows",
    )
    return _graded(value >= reference - AS_USEFUL, value >= reference - LESS_USEFUL, words)


def closest_record(value: float, reference: float) -> Verdict:
    """Distance to the closest training row, beside that of real rows which are no training rows."""
    if reference <= 0.0:
        return Verdict("unknown", "real rows repeat each other, so this distance says nothing here")
    words = (
        "no closer to the training rows than new real rows are",
        "somewhat closer to the training rows than new real rows are",
        "much closer to the training rows than new real rows are: look for copies",
    )
    return _graded(value >= AS_FAR * reference, value >= CLOSER * reference, words)


def copies(value: float, reference: float) -> Verdict:
    """Share of rows that equal a training row."""
    more = value - reference
    words = (
        "no more exact copies than among new real rows",
        "a few exact copies of training rows",
        "exact copies of training rows: do not publish these rows",
    )
    return _graded(more <= FEW_COPIES, more <= SOME_COPIES, words)


def memorization(value: float, reference: float) -> Verdict:
    """Share of rows much closer to one training row than to any other."""
    more = value - reference
    words = (
        "no more rows learnt by heart than chance makes among new real rows",
        "some rows may be learnt by heart",
        "rows learnt by heart: the generator repeats its training rows",
    )
    return _graded(more <= LITTLE_MEMORY, more <= SOME_MEMORY, words)


RULES: dict[str, Rule] = {
    "distance": distance,
    "squared distance": squared_distance,
    "two-sample": two_sample,
    "coverage": coverage,
    "recall": recall,
    "precision": precision,
    "density": density,
    "utility": utility,
    "closest record": closest_record,
    "copies": copies,
    "memorization": memorization,
}


def worst(names: list[VerdictName]) -> VerdictName:
    """The least favourable verdict; "unknown" only where nothing else is there."""
    order: tuple[VerdictName, ...] = ("concern", "fair", "good")
    return next((name for name in order if name in names), "unknown")
