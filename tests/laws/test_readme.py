"""The README's code runs, and it stays short."""

from docs_pages import ROOT, blocks

README = ROOT / "README.md"


def test_five_lines_train_an_ensemble(tmp_path, monkeypatch):
    """Verbatim, but for fewer and smaller networks and a budget in epochs."""
    monkeypatch.chdir(tmp_path)
    (block,) = [own for own in blocks(README) if own.language == "python"]
    assert block.code.count('budget="2min"') == 1
    small = {"A": "mlp 16; batch_norm", "B": "mlp 24; batch_norm"}
    options = f'budget="16 epochs", members={small}, progress=False'
    printed = []
    names = {"print": printed.append}
    exec(block.code.replace('budget="2min"', options), names)  # noqa: S102 (our own)
    (answers,) = printed
    assert answers.shape == (3,)
    results = names["ensemble"].results["methods"]["mothernets"]
    assert results["ensemble"]["average"]["error"] < 0.3  # 0.9 by guessing
    assert names["ensemble"].workdir.parent.resolve() == tmp_path / "runs"


def test_it_is_short():
    assert README.read_text(encoding="utf-8").count("\n") <= 150
