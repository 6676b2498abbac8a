"""How sphinx builds the site: `make docs`. No page, and no build, asks anything of the network."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")  # progress bars are noise on a page
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import sktgdp

project = "sktgdp"
author = copyright = "the sktgdp developers"
version = release = sktgdp.__version__

extensions = [
    "code_links",
    "gallery_order",
    "mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "**/README.rst", "**/sg_execution_times.rst"]
templates_path = ["_templates"]
default_role = "obj"  # `name` in a docstring is a link where there is such a name, and code elsewhere

# Texts ----------------------------------------------------------------------------------------------
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
html_math_renderer = "mathml"

# Reference ------------------------------------------------------------------------------------------
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings say it
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # listed by our template for classes
numpydoc_class_members_toctree = False

# Gallery --------------------------------------------------------------------------------------------
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"demo\.py",
    "within_subsection_order": "gallery_order.ReadingOrder",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
    "matplotlib_animations": False,
    "abort_on_example_error": True,
    "doc_module": ("sktgdp",),
    "backreferences_dir": None,
}

# Pages ----------------------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = f"sktgdp {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sktgdp"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {name: [] for name in ("index", "method", "architecture", "changelog", "comparison")}


def skip_foreign_members(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what classes inherit from other packages, which have pages of their own."""
    home = getattr(obj, "__module__", None) or getattr(getattr(obj, "fget", None), "__module__", None)
    routing = name.startswith("set_") and name.endswith("_request")
    return True if routing or (home is not None and not home.startswith("sktgdp")) else None


def setup(app: Any) -> None:
    """Connect the rule above."""
    app.connect("autodoc-skip-member", skip_foreign_members)
