"""Code in the text of Markdown pages becomes a link where it names something that the reference describes.

The pages say `losses.cycle_loss` or `TGDPGenerator.guidance`, as they would without a site. A name that could
mean two things, and a plain word such as `sample`, stays as it is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

NAME = re.compile(r"[A-Za-z_][\w.]*")
KINDS = {"class", "function", "method", "data", "exception", "property"}


def full_names(app: Sphinx) -> dict[str, set[str]]:
    """Full names by each of their endings: `cycle_loss`, `losses.cycle_loss`, ..."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, entry in app.env.domains.python_domain.objects.items():
        parts = name.split(".")
        if entry.objtype in KINDS:
            for i in range(len(parts)):
                found[".".join(parts[i:])].add(name)
    return found


def link_code(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn the literals of one page into links."""
    if str(app.env.doc2path(docname)).endswith(".rst"):
        return
    names, objects = full_names(app), app.env.domains.python_domain.objects
    for literal in list(doctree.findall(nodes.literal)):
        text = literal.astext().removesuffix("()")
        code = NAME.fullmatch(text) and re.search(r"[._A-Z]", text)
        targets = names.get(text, set())
        if not code or len(targets) != 1 or isinstance(literal.parent, nodes.reference):
            continue
        (name,) = targets
        uri = app.builder.get_relative_uri(docname, objects[name].docname) + "#" + objects[name].node_id
        link: Any = nodes.reference("", "", internal=True, refuri=uri, reftitle=name)
        literal.replace_self(link)
        link += literal


def setup(app: Sphinx) -> dict[str, bool]:
    """Run once the cross references of a page are resolved."""
    app.connect("doctree-resolved", link_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
