"""How good are synthetic rows? One report of fidelity, diversity, utility and privacy."""

from sktgdp.report._quality import QualityReport

__all__ = ["QualityReport"]
