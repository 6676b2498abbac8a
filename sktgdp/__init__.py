"""Transfer learning of diffusion models, in the style of scikit-learn."""

__version__ = "0.1.0"
