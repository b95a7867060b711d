"""The pages of the documentation, taken apart: blocks of code, links, headings."""

import json
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# What a block says that is not run: its first line, for readers and tests alike.
NEEDS = re.compile(r"# Needs [^\n]+\.\n")
_FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)


class Block(NamedTuple):
    """A block of code.

    Attributes:
        page: path of its page below the root.
        language: what stands behind the backquotes, such as "python".
        code: its lines.
    """

    page: str
    language: str
    code: str

    @property
    def is_run(self) -> bool:
        """Whether it needs nothing that `make test` does not have."""
        return not NEEDS.match(self.code)


def pages() -> list[Path]:
    """README, CONTRIBUTING and all pages of the site."""
    own = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return own + sorted([*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")])


def name_of(page: Path) -> str:
    """Path of a page below the root."""
    return page.relative_to(ROOT).as_posix()


def cells(notebook: Path, kind: str) -> list[str]:
    """Sources of a notebook's cells of a kind, "code" or "markdown"."""
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def text_of(page: Path) -> str:
    """Markdown of a page; of a notebook, that between its code."""
    if page.suffix == ".ipynb":
        return "\n\n".join(cells(page, "markdown"))
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    """All blocks of code between backquotes."""
    return [
        Block(
            name_of(page), language, re.sub(f"^{indent}", "", code, flags=re.MULTILINE)
        )
        for indent, language, code in _FENCE.findall(text_of(page))
    ]


def without_code(page: Path) -> str:
    """Text of a page without its blocks of code and code within lines."""
    return re.sub(r"`[^`]+`", "", _FENCE.sub("", text_of(page)))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and the site make them."""
    found: set[str] = set()
    text = _FENCE.sub("", text_of(page))
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        plain = re.sub(r"[^\w\s-]", "", plain).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", plain))
    return found


def rows(page: Path, heading: str | None = None) -> list[list[str]]:
    """Cells of the tables of a page, or of one section of it, without their heads."""
    text = text_of(page)
    if heading is not None:
        _, _, text = text.partition(f"\n## {heading}\n")
        text = text.partition("\n## ")[0]
    found = []
    for line in re.findall(r"^\|(.*)\|$", text, re.MULTILINE):
        row = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if set("".join(row)) <= set("-: "):
            found.pop()  # the head, which stands above this line
        else:
            found.append(row)
    return found
