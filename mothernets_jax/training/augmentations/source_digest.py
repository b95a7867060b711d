"""A digest of a Python function: of its source, and of the values that it uses.

Seen are the function's source; the values of its closure and its defaults; the globals
that it reads; and the same of functions among them that are not a library's. What is
reached otherwise, such as by `getattr`, or in the modules of others, is not seen.
"""

import contextlib
import dataclasses
import dis
import functools
import hashlib
import inspect
import sys
import sysconfig
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mothernets_jax.utils.argument_errors import Argument, ArgumentError
from mothernets_jax.utils.messages import safe_name, short_repr

DIGITS = 16  # hexadecimal, of a digest
_DEEPEST = 40  # functions that use functions, and values in values
_PYTHON = Path(sysconfig.get_path("stdlib"))


def name_of(function: Callable) -> str:
    """A function's name, of letters, digits and `_`; of an object, its class's name."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return name if name.isidentifier() and name.isascii() else "function"


def source_digest(function: Callable) -> str:
    """Hexadecimal digits that tell a function from all others.

    Args:
        function: a function with a name; a method or a callable object of a class, or
            a `functools.partial` of one of these.

    Raises:
        ValueError: the source cannot be found or told from that of its line, or a value
            that it uses cannot be told from others.
    """
    text = "\n".join(_describe(function, name_of(function), ()))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def file_digest(path: str) -> str:
    """Hexadecimal digits that tell a file's content from others.

    Raises:
        ArgumentError: the file cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ArgumentError(
            Argument("augment"),
            f" names the file {safe_name(path)}, which cannot be read "
            f"({error.strerror}): expected 'FILE.py:FUNCTION', with the path from the "
            "current folder",
        ) from None
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def _describe(value: Any, path: str, above: tuple[Any, ...]) -> Iterator[str]:
    """Lines that tell a value from others.

    Args:
        value: the value.
        path: its name in messages and lines.
        above: the functions and containers that it was found in.
    """
    if any(value is other for other in above):
        yield f"{path}: again"  # a function that calls itself
        return
    if len(above) > _DEEPEST:
        raise ValueError(f"{path} is nested too deeply: expected a simpler function")
    inside = (*above, value)
    if isinstance(value, functools.partial):
        of = {"function": value.func, "arguments": value.args, "named": value.keywords}
        yield from _describe(of, path, inside)
    elif isinstance(value, Mapping):
        for key, own in value.items():
            yield from _describe(own, f"{path}.{key}", inside)
    elif isinstance(value, tuple | list):
        yield f"{path}: {type(value).__name__} of {len(value)}"
        for i, own in enumerate(value):
            yield from _describe(own, f"{path}[{i}]", inside)
    elif isinstance(value, set | frozenset):  # whose order is another in each process
        yield from _describe(sorted(value, key=repr), path, inside)
    elif isinstance(value, np.ndarray | np.generic) or _is_jax_array(value):
        yield _describe_array(value, path)
    elif isinstance(value, types.ModuleType):
        yield f"{path}: module {value.__name__}"
    elif _is_of_library(value):
        yield f"{path}: {value.__module__}.{getattr(value, '__qualname__', value)}"
    elif isinstance(value, types.FunctionType):
        yield from _describe_function(value, path, inside)
    elif isinstance(value, types.MethodType):
        yield from _describe_function(value.__func__, path, inside)
        yield from _describe(value.__self__, f"{path}.self", inside)
    elif hasattr(value, "__wrapped__"):  # by jax.jit, say
        yield from _describe(value.__wrapped__, path, inside)
    elif isinstance(value, type):
        yield from _describe_class(value, path, inside)
    else:
        yield from _describe_object(value, path, inside)


def _describe_function(
    function: types.FunctionType, path: str, above: tuple[Any, ...]
) -> Iterator[str]:
    """Lines for a function's source and the values that it uses."""
    code = function.__code__
    if code.co_name == "<lambda>":
        raise ValueError(
            f"{path} is a lambda, whose source cannot be told from the rest of its "
            "line: define it by def"
        )
    if _is_path_of_library(code.co_filename):
        raise ValueError(
            f"{path} was made by a library, as jax.vmap makes one, and cannot be told "
            "from others: define a function by def, and call the library in it"
        )
    yield f"{path}: {_source(code, path)}"
    yield from _describe(_values_of(function), path, above)


def _describe_class(kind: type, path: str, above: tuple[Any, ...]) -> Iterator[str]:
    """Lines for a class by its bases, its methods and its attributes.

    Not by its source, which of a class in a notebook Python does not know.
    """
    yield f"{path}: class {kind.__name__}"
    yield from _describe(kind.__bases__, f"{path}, bases", above)
    for name, value in vars(kind).items():
        own = getattr(value, "__func__", getattr(value, "fget", value))
        if isinstance(own, types.FunctionType):
            # Those that `dataclass` writes follow from the attributes.
            path_of = own.__code__.co_filename
            written = path_of == "<string>" or _is_path_of_library(path_of)
            if not (written and dataclasses.is_dataclass(kind)):
                yield from _describe(own, f"{path}.{name}", above)
        elif not name.startswith("__") and not inspect.isdatadescriptor(own):
            yield from _describe(own, f"{path}.{name}", above)


def _describe_object(value: Any, path: str, above: tuple[Any, ...]) -> Iterator[str]:
    """Lines for an object by its class and its attributes, or by its `repr`."""
    kind = type(value)
    if not _is_of_library(kind) and hasattr(value, "__dict__"):
        yield from _describe(kind, f"{path}, {kind.__name__}", above)
        yield from _describe(vars(value), path, above)
        return
    text = repr(value)
    if " at 0x" in text:
        raise ValueError(
            f"{path} is {short_repr(value)}, which cannot be told from others of its "
            "kind: expected functions, numbers, texts, arrays, or lists of them"
        )
    yield f"{path}: {text}"


def _values_of(function: types.FunctionType) -> dict[str, Any]:
    """Defaults of a function, and values of the variables around it that it reads."""
    defaults = {"defaults": function.__defaults__, "named": function.__kwdefaults__}
    closure = {}
    cells = function.__closure__ or ()
    for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
        with contextlib.suppress(ValueError):  # of a variable that is not set yet
            closure[name] = cell.cell_contents
    read = sorted(set(_globals_read(function.__code__)))
    around = function.__globals__
    found = {name: around[name] for name in read if name in around}
    return {**defaults, "closure": closure, "globals": found}


def _globals_read(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):  # a function within the function
            yield from _globals_read(constant)


def _describe_array(value: Any, path: str) -> str:
    if _is_jax_array(value):
        import jax

        if jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise ValueError(f"{path} is an array of objects: expected one of numbers")
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    return f"{path}: {array.dtype} {array.shape} {digest}"


def _source(code: types.CodeType, path: str) -> str:
    try:
        return textwrap.dedent(inspect.getsource(code)).strip()
    except (OSError, TypeError):
        raise ValueError(
            f"the source of {safe_name(path)} cannot be found, by which the run would "
            "tell it from another: define it by def in a file or in a notebook's cell"
        ) from None


def _is_jax_array(value: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def _is_of_library(value: Any) -> bool:
    """True for what an installed package, or Python itself, defines by a name.

    What a function of theirs has made, of values of ours, is none.
    """
    if "<locals>" in getattr(value, "__qualname__", "<locals>"):
        return False  # or an object, which has the name of its class's module
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    if module is None or module.__name__ == "__main__":
        return False
    path = getattr(module, "__file__", None)
    return path is None or _is_path_of_library(path)


def _is_path_of_library(path: str) -> bool:
    own = Path(path)
    return "site-packages" in own.parts or own.is_relative_to(_PYTHON)
