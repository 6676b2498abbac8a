"""Numbers into words: each rule at both sides of its limits."""

from __future__ import annotations

import pytest

from sktgdp.report._verdicts import RULES, worst


@pytest.mark.parametrize(
    ("rule", "value", "reference", "expected"),
    [
        ("distance", 0.14, 0.1, "good"),
        ("distance", 0.16, 0.1, "fair"),
        ("distance", 0.31, 0.1, "concern"),
        ("distance", 0.04, 0.001, "good"),
        ("distance", 0.0, 0.0, "good"),
        ("distance", 0.2, 0.0, "concern"),
        ("squared distance", 0.0199, 0.01, "good"),
        ("squared distance", 0.25, 0.01, "concern"),
        ("two-sample", 0.6, 0.5, "good"),
        ("two-sample", 0.7, 0.5, "fair"),
        ("two-sample", 0.99, 0.5, "concern"),
        ("two-sample", 0.2, 0.5, "concern"),
        ("coverage", 0.94, 1.0, "good"),
        ("coverage", 0.81, 1.0, "fair"),
        ("coverage", 0.1, 1.0, "concern"),
        ("recall", 0.1, 1.0, "concern"),
        ("precision", 0.1, 1.0, "concern"),
        ("density", 1.0, 1.0, "good"),
        ("density", 1.5, 1.0, "fair"),
        ("density", 0.1, 1.0, "concern"),
        ("utility", 0.9, 0.91, "good"),
        ("utility", 0.85, 0.91, "fair"),
        ("utility", 0.6, 0.91, "concern"),
        ("closest record", 0.9, 1.0, "good"),
        ("closest record", 0.6, 1.0, "fair"),
        ("closest record", 0.1, 1.0, "concern"),
        ("closest record", 0.1, 0.0, "unknown"),
        ("copies", 0.0, 0.0, "good"),
        ("copies", 0.005, 0.0, "fair"),
        ("copies", 0.5, 0.0, "concern"),
        ("memorization", 0.04, 0.0, "good"),
        ("memorization", 0.1, 0.0, "fair"),
        ("memorization", 1.0, 0.0, "concern"),
    ],
)
def test_limits(rule: str, value: float, reference: float, expected: str) -> None:
    verdict = RULES[rule](value, reference)
    assert verdict.name == expected
    assert len(verdict.words) > 10


def test_worst() -> None:
    assert worst(["good", "concern", "fair"]) == "concern"
    assert worst(["unknown", "good"]) == "good"
    assert worst([]) == "unknown"
