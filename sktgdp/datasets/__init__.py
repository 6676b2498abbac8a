"""Data for transfer between two domains: simulations and shifts of data that scikit-learn ships."""

from sktgdp.datasets._synthetic import make_diabetes_shift, make_digits_shift, make_gaussian_mixture_shift

__all__ = ["make_diabetes_shift", "make_digits_shift", "make_gaussian_mixture_shift"]
