"""Links of the documentation lead somewhere, without a network to try them."""

import re
from pathlib import Path

import pytest
import yaml
from docs_pages import DOCS, ROOT, anchors, name_of, pages, without_code

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    return _LINK.findall(without_code(page))


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_within_the_project_lead_to_a_page_and_its_heading(page):
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.is_file(), f"{name_of(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name_of(page)}: {link}"


def test_the_site_links_to_nothing_outside_of_it():
    """Which mkdocs could not publish."""
    for page in (page for page in pages() if DOCS in page.parents):
        for link in links(page):
            if not link.startswith(("https://", "http://", "#")):
                target = (page.parent / link.partition("#")[0]).resolve()
                assert DOCS in target.parents, f"{name_of(page)}: {link}"


def test_links_to_other_servers_are_encrypted_and_whole():
    found = [link for page in pages() for link in links(page) if "://" in link]
    assert found
    for link in found:
        assert re.fullmatch(r"https://[\w.-]+\.\w+(/[\w./#%()+~-]*)?", link), link


def test_every_page_is_in_the_menu_once():
    def leaves(entry):
        if isinstance(entry, str):
            yield entry
        else:
            for part in entry.values() if isinstance(entry, dict) else entry:
                yield from leaves(part)

    class Loader(yaml.SafeLoader):
        """Reads mkdocs.yml, whose `!ENV` is a variable of the environment."""

    Loader.add_constructor("!ENV", lambda loader, node: "")
    config = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)
    menu = sorted(leaves(config["nav"]))
    assert menu == sorted(
        page.relative_to(DOCS).as_posix() for page in pages() if DOCS in page.parents
    )


def test_files_and_tests_that_the_text_names_exist():
    homes = (ROOT, ROOT / "mothernets_jax", ROOT / "tests", ROOT / "docs")
    defined = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")
    )
    paths = re.compile(r"`((?:[\w-]+/)+\w+\.(?:py|json|yml|md|c))(?:::\w+)?`")
    placeholders = ("NAME", "runs/", "scans/")
    found = 0
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for name in paths.findall(text):
            found += 1
            known = any((home / name).exists() for home in homes)
            assert known or any(p in name for p in placeholders), name
        for name in re.findall(r"::(test_\w+)`", text):
            found += 1
            assert f"def {name}(" in defined, name
    assert found > 200
