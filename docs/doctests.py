"""Extension of mkdocs.yml's mkdocstrings: examples at the end of docstrings are code.

Docstrings end in doctests without a heading, which would be shown as quotations.
"""

import re
from typing import Any

import griffe

_EXAMPLES = re.compile(r"\n\n(>>> .*)\Z", re.DOTALL)


class Doctests(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is None:
            return
        text = obj.docstring.value.rstrip()
        if found := _EXAMPLES.search(text):
            code = found[1].replace("\n", "\n    ")
            obj.docstring.value = f"{text[: found.start()]}\n\nExamples:\n    {code}"
