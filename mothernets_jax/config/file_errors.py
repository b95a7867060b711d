"""One-line explanations of errors in a config file or a flag."""

_START = "start from configs/vgg_ensemble.py"
_TUPLE = "--config.methods=\"('mothernets', 'full_data')\""


def explain(error: Exception) -> str:
    """The message for an error that was raised while flags and the config were read.

    >>> explain(AttributeError("'int' object has no attribute 'to_dict'"))
    "the config file's get_config returns an int: expected a ConfigDict; start from ..."
    """
    text = str(error.args[0] if isinstance(error, KeyError) else error).strip()
    if isinstance(error, SyntaxError):
        return f"the config file is no Python: {text}; {_START}"
    # A config's own error is the last line of a traceback in the message.
    line = text.splitlines()[-1].strip() if text else type(error).__name__
    if line.endswith("has no attribute 'to_dict'"):
        found = line.split("'")[1]
        article = "an" if found[0] in "aeiou" else "a"
        return (
            f"the config file's get_config returns {article} {found}: expected a "
            f"ConfigDict; {_START}"
        )
    if line.endswith("has no attribute 'get_config'"):
        return (
            "the config file has no get_config: expected a function of this name that "
            f"returns a ConfigDict; {_START}"
        )
    if "get_config() takes 0 positional arguments" in line:
        return (
            "the config file has no presets: leave out the ':' after its name, and "
            "what follows"
        )
    given = line.partition(":")[0]
    if " as tuple" in line and given.startswith("flag --config."):
        return f"{given}: expected a tuple such as {_TUPLE}"
    if " as a ConfigDict" in line and given.startswith("flag --config."):
        name = given.removeprefix("flag --").partition("=")[0]
        value = "0.35" if name.endswith("prices") else "'mlp 8'"
        return (
            f"{given}: expected one entry, --{name}.NAME={value}, or all of them, "
            f"--{name}=\"{{'NAME': {value}}}\""
        )
    return line.removeprefix("ValueError: ")
