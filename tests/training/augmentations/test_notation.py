"""Augmentations as text: what is read, written and refused."""

import pytest

from mothernets_jax.training.augmentations.notation import (
    HandedIn,
    OfFile,
    Ready,
    parse,
    write,
)

DIGEST = "0123456789abcdef"
READ = {
    "": ((), ""),
    "randaugment": ((Ready("randaugment", (2, 9)),), "randaugment(2, 9)"),
    " randaugment( 3,4.5 )": ((Ready("randaugment", (3, 4.5)),), "randaugment(3, 4.5)"),
    "randaugment(1)": ((Ready("randaugment", (1, 9)),), "randaugment(1, 9)"),
    "mixup()": ((Ready("mixup", (0.2,)),), "mixup(0.2)"),
    "cutmix(1)": ((Ready("cutmix", (1.0,)),), "cutmix(1)"),
    "randaugment(1,0)+mixup(1e-3)": (
        (Ready("randaugment", (1, 0)), Ready("mixup", (0.001,))),
        "randaugment(1, 0) + mixup(0.001)",
    ),
    "my/own.py:jitter": ((OfFile("my/own.py", "jitter"),), "my/own.py:jitter"),
    f"own.py:jitter:{DIGEST} + mixup": (
        (OfFile("own.py", "jitter", DIGEST), Ready("mixup", (0.2,))),
        f"own.py:jitter:{DIGEST} + mixup(0.2)",
    ),
    f"own:jitter:{DIGEST}": ((HandedIn("jitter", DIGEST),), f"own:jitter:{DIGEST}"),
}


@pytest.mark.parametrize("text", READ)
def test_what_is_read_is_written_in_one_way(text):
    parts, written = READ[text]
    assert parse(text) == parts
    assert write(parts) == written
    assert parse(written) == parts


BAD = {
    "mixpu(0.2)": "did you mean 'mixup'?",
    "RandAugment": "did you mean 'randaugment'?",
    "blur": "parts such as 'randaugment(2, 9)', 'mixup(0.2)'",
    "mixup(0.2": "parts such as",
    "mixup +": "parts such as",
    "mixup(0)": "the alpha of mixup to be above 0 to 100, not '0'",
    "mixup(nan)": "not 'nan'",
    "mixup(a)": "not 'a'",
    "mixup(0.1, 2)": "mixup(alpha), not 2 numbers",
    "randaugment(1.5)": "operations of randaugment to be a whole number from 1 to 14",
    "randaugment(2, 11)": "the magnitude of randaugment to be from 0 to 10, not '11'",
    "randaugment(0, 9)": "not '0'",
    "mixup + cutmix": "one part that mixes images at most, not mixup and cutmix",
    "own:jitter": "a function of one's own to be handed in from Python",
    f"own:a:{DIGEST} + own:b:{DIGEST}": "one function that is handed in at most",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_refused(text):
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert BAD[text] in str(caught.value)
