"""Digests of functions: what changes them, what does not, and what has none."""

import functools
import linecache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mothernets_jax.training.augmentations.source_digest import name_of, source_digest

HEADER = """
import dataclasses, functools, jax, jax.numpy as jnp, numpy as np
LEVEL = 3
def helper(images): return images + LEVEL
"""
FUNCTION = """
def jitter(key, images, by=2):
    return helper(images) * by
"""
made = 0


def define(code, name="jitter", header=HEADER):
    """The function that a notebook's cell defines, whose lines Python keeps."""
    global made
    made += 1
    filename, names = f"<cell {made}>", {"__name__": "__main__"}
    lines = (header + code).splitlines(keepends=True)
    linecache.cache[filename] = (len(header + code), None, lines, filename)
    exec(compile(header + code, filename, "exec"), names)  # noqa: S102 (our own)
    return names[name]


def closing(value):
    code = """
def make(value):
    def jitter(key, images):
        return jnp.flip(images) * value
    return jitter
"""
    return define(code, "make")(value)


def an_object(code, **values):
    found = define(code, "Jitter")()
    vars(found).update(values)
    return found


CLASS = """
class Jitter:
    def __call__(self, key, images):
        return helper(images) * self.by
"""
DERIVED = """
class Jitter(Base):
    level = 3
"""
# Pairs of functions that differ, each made twice to see that it is equal to itself.
PAIRS = {
    "source": (lambda: define(FUNCTION), lambda: define(FUNCTION.replace("*", "+"))),
    "default": (lambda: define(FUNCTION), lambda: define(FUNCTION.replace("2", "4"))),
    "global": (
        lambda: define(FUNCTION),
        lambda: define(FUNCTION, header=HEADER.replace("3", "4")),
    ),
    "helper": (
        lambda: define(FUNCTION),
        lambda: define(FUNCTION, header=HEADER.replace("images +", "images -")),
    ),
    "closure": (lambda: closing(2), lambda: closing(3)),
    "array": (lambda: closing(np.arange(3)), lambda: closing(np.arange(3) + 1)),
    "JAX array": (lambda: closing(jnp.ones(2)), lambda: closing(jnp.zeros(2))),
    "dtype": (lambda: closing(np.float32(1)), lambda: closing(np.float64(1))),
    "key": (lambda: closing(jax.random.key(0)), lambda: closing(jax.random.key(1))),
    "set": (lambda: closing({"a", "b", "c"}), lambda: closing({"a", "b"})),
    "nested": (lambda: closing({"a": [1, 2]}), lambda: closing({"a": [1, 3]})),
    "library": (lambda: closing(jnp.flip), lambda: closing(jnp.sin)),
    "partial": (
        lambda: functools.partial(define(FUNCTION), by=3),
        lambda: functools.partial(define(FUNCTION), by=4),
    ),
    "partial and none": (
        lambda: define(FUNCTION),
        lambda: functools.partial(define(FUNCTION), by=4),
    ),
    "jitted": (
        lambda: jax.jit(define(FUNCTION)),
        lambda: jax.jit(define(FUNCTION.replace("*", "+"))),
    ),
    "object": (lambda: an_object(CLASS, by=1), lambda: an_object(CLASS, by=2)),
    "class": (
        lambda: an_object(CLASS, by=1),
        lambda: an_object(CLASS.replace("*", "+"), by=1),
    ),
    "dataclass": (
        lambda: an_object("@dataclasses.dataclass\n" + CLASS + "    by: int = 2\n"),
        lambda: an_object("@dataclasses.dataclass\n" + CLASS + "    by: int = 3\n"),
    ),
    "base": (
        lambda: an_object(CLASS.replace("Jitter", "Base") + DERIVED, by=1),
        lambda: an_object(
            CLASS.replace("Jitter", "Base").replace("*", "+") + DERIVED, by=1
        ),
    ),
    "method": (
        lambda: an_object(CLASS, by=1).__call__,
        lambda: an_object(CLASS, by=2).__call__,
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_digest_tells_what_differs_and_nothing_else(pair):
    one, other = PAIRS[pair]
    assert source_digest(one()) == source_digest(one())
    assert source_digest(other()) == source_digest(other())
    assert source_digest(one()) != source_digest(other())
    assert len(source_digest(one())) == 16 and int(source_digest(one()), 16) >= 0


def test_what_is_not_used_does_not_matter():
    unused = HEADER + "OTHER = 5\n"
    assert source_digest(define(FUNCTION, header=unused)) == source_digest(
        define(FUNCTION)
    )
    # Nor how far the function is indented.
    inside = "if True:\n" + FUNCTION.strip("\n").replace("def", "    def", 1).replace(
        "    return", "        return"
    )
    assert source_digest(define(inside)) == source_digest(define(FUNCTION))


def test_a_function_that_calls_itself_has_an_end():
    code = "def jitter(key, images, n=2): return jitter(key, images, n - 1) if n else 1"
    assert source_digest(define(code)) == source_digest(define(code))


def nameless():
    names = {}
    exec("def f(key, images): return images", names)  # noqa: S102 (our own)
    return names["f"]


BAD = {
    "lambda": (lambda: lambda key, images: images, "is a lambda", "define it by def"),
    "no source": (nameless, "the source of f cannot be found", "define it by def"),
    "mapped": (
        lambda: jax.vmap(define(FUNCTION)),
        "jitter was made by a library, as jax.vmap makes one",
        "call the library in it",
    ),
    "object": (lambda: closing(object()), "cannot be told from others of its kind"),
    "generator": (
        lambda: closing(i for i in ()),
        "closure.value",
        "expected functions",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_has_no_digest_is_refused_in_clear_words(case):
    make, *parts = BAD[case]
    with pytest.raises(ValueError) as caught:
        source_digest(make())
    for part in parts:
        assert part in str(caught.value)


def test_names():
    assert name_of(define(FUNCTION)) == "jitter"
    assert name_of(functools.partial(jax.jit(define(FUNCTION)))) == "jitter"
    assert name_of(an_object(CLASS)) == "Jitter"
    assert name_of(lambda key, images: images) == "function"
