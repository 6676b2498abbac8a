"""Equations as MathML: browsers draw them by themselves, so that pages need no script and no network."""

from __future__ import annotations

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

# A logarithm stands off its argument unless a bracket does that; in a subscript's place it is no operator.
LOG = re.compile(r"(?<!<msub>)(?<!<msup>)<mi>log</mi>(?!<mo)")


def mathml(equation: str, display: str = "inline") -> str:
    """Give an equation in LaTeX as MathML; the bars of a norm are of one height."""
    written = LOG.sub('<mi>log</mi><mspace width="0.17em"></mspace>', convert(equation, display=display))
    return written.replace("<mo>&#x02016;</mo>", '<mo stretchy="false">&#x02016;</mo>')


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write an equation that stands in a line of text."""
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def visit_display(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write an equation that stands alone, with its number if it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})</span>')
    self.body.append(mathml(node.astext(), "block") + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
