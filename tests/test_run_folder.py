"""A run's folder has one experiment, and one process that works in it."""

import json
import subprocess
import sys

import pytest

from configs.vgg_ensemble import get_config
from mothernets_jax import run_folder
from mothernets_jax.config import from_config
from mothernets_jax.methods import METHODS
from mothernets_jax.run_folder import Owner, find_results

HOLDER = """
import sys
from pathlib import Path
from mothernets_jax import run_folder
owner = run_folder.Owner(Path(sys.argv[1]), "python launch.py --config=x")
owner._lock()
print("held", flush=True)
sys.stdin.read()
"""


def settings_of(**overrides):
    config = get_config()
    config.update_from_flattened_dict(overrides)
    return from_config(config, tuple(METHODS))


def test_a_second_process_is_told_who_works_in_the_folder(tmp_path):
    arguments = [sys.executable, "-c", HOLDER, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        own = Owner(tmp_path, "mine")
        with pytest.raises(ValueError) as refused:
            own.claim(settings_of())
        assert f"being worked in by process {holder.pid} on " in str(refused.value)
        assert "(python launch.py --config=x)" in str(refused.value)
        assert not (tmp_path / "config.json").exists()
        holder.kill()  # by which the lock is free
        holder.wait()
        own.claim(settings_of())
        own.release()


def test_the_owner_may_claim_again_and_release(tmp_path):
    first, second = Owner(tmp_path / "new", ""), Owner(tmp_path / "new", "")
    first.claim(settings_of())
    first.claim(settings_of())
    with pytest.raises(ValueError, match="being worked in by process"):
        second.claim(settings_of())
    first.release()
    second.claim(settings_of())
    second.release()


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("combine", "vote", True),
        ("data.workers", 2, True),
        ("checkpoint.interval_seconds", 5.0, True),
        ("prices.cpu", 9.0, True),
        ("seed", 1, False),
        ("data.fold", 1, False),
        ("strategy", "vmap", False),
        ("hatch.noise", 0.5, False),
    ],
)
def test_what_may_change_between_two_commands(tmp_path, field, value, allowed):
    owner = Owner(tmp_path, "")
    owner.claim(settings_of())
    owner.release()
    changed = settings_of(**{field: value})
    if allowed:
        assert find_results(tmp_path, changed) is None
        assert changed.digest() == settings_of().digest()
        return
    with pytest.raises(ValueError, match=f"another experiment: config.{field} is"):
        find_results(tmp_path, changed)
    assert changed.digest() != settings_of().digest()


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", '{"name": 3'])
def test_damaged_results_are_made_again_and_a_damaged_config_is_refused(
    tmp_path, content, caplog
):
    (tmp_path / "results.json").write_text(content)
    assert find_results(tmp_path, settings_of()) is None
    assert "results.json is damaged: it is made again" in caplog.text
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        find_results(tmp_path, settings_of())


def test_whole_results_are_found(tmp_path):
    results = {section: {} for section in run_folder._SECTIONS}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert find_results(tmp_path, settings_of()) == results


def test_a_path_that_orbax_takes_for_a_pattern_is_refused(tmp_path):
    folder = tmp_path / "[x] y"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"has \[ \] in its path"):
        find_results(folder, settings_of())
