"""Eight forced devices, and two processes, learn what one device learns.

The programs under scripts/ do the work, since the number of devices is fixed when JAX
starts. Of whole runs `test_several_hosts.py` has the same.
"""

import json
import socket

import pytest
from forked import ROOT, Forked

SCRIPTS = ROOT / "tests" / "scripts"


def start(script, *arguments):
    return Forked(SCRIPTS / script, *arguments)


def output_of(started):
    done = started.finish(600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def eight():
    return json.loads(output_of(start("many_devices.py")))


def test_eight_devices_learn_what_one_learns(eight):
    for trained in eight["trained"]:
        assert trained["difference"] < 1e-4, trained
        assert trained["learned"] > 0.1  # the control: there was something to compare
    # Plain, bagged, plain, taught, branching, mixed.
    assert [t["members"] for t in eight["trained"]] == [2, 2, 3, 2, 3, 2]


@pytest.mark.extras
def test_eight_devices_learn_from_a_stream_what_one_learns():
    found = json.loads(output_of(start("many_devices.py", "streamed")))
    for trained in found["trained"]:
        assert trained["difference"] < 1e-4, trained
        assert trained["learned"] > 0.1
    # Plain, taught, branching, mixed.
    assert [t["members"] for t in found["trained"]] == [2, 2, 2, 2]


@pytest.mark.slow
def test_a_run_whose_stages_are_placed_by_timing_keeps_their_places(tmp_path):
    """A stage that is lost is trained again on as many devices, to the same bits."""
    first, again = json.loads(output_of(start("placed_run.py", str(tmp_path / "run"))))
    assert len(first["placement"]) == 3
    assert set(first["placement"].values()) == {2, 4}
    assert first["timed"] and not again["timed"]
    assert again["placement"] == first["placement"]
    assert again["digest"] == first["digest"]


def test_members_never_talk_to_each_other(eight):
    for program in eight["programs"]:
        collectives = program["collectives"]
        assert collectives.pop("all-reduce") > 0  # over the parts of a batch
        assert set(collectives.values()) == {0}, program


def test_each_device_holds_its_own_members_only(eight):
    meshes = [program["mesh"] for program in eight["programs"]]
    assert meshes == [{"members": 2, "batch": 4}, {"members": 8, "batch": 1}]
    for program in eight["programs"]:
        assert program["members_held_by_a_device"] == [1]
        assert program["devices"] == [8]


def of_two_processes(*arguments):
    """What the first of two processes has found."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    both = [
        start("two_processes.py", f"localhost:{port}", i, *arguments) for i in (0, 1)
    ]
    first, _ = [output_of(process) for process in both]
    return json.loads(first.splitlines()[-1])


def test_two_processes_learn_what_one_device_learns():
    found = of_two_processes()
    assert found["devices"] == 4
    assert found["own_devices"] == 2
    assert found["difference"] < 1e-4


@pytest.mark.extras
def test_two_processes_learn_from_a_stream_what_one_device_learns():
    found = of_two_processes("streamed")
    assert found["difference"] < 1e-4
    # Two epochs of five batches of 16; each process reads the half of its devices.
    assert found["images_read"] == [80, 160]
