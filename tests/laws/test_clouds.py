"""The recipes of docs/clouds/ and the Dockerfile: whole, and of commands that parse."""

import copy
import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from absl import flags

import launch
from mothernets_jax.config import command_line
from mothernets_jax.methods import read_settings

# Of ml_collections, which loads the config.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "clouds"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SBATCH = (RECIPES / "slurm.sbatch").read_text(encoding="utf-8")
SKYPILOT = sorted(RECIPES.glob("skypilot_*.yaml"))
INTERRUPTED = 143  # 128 and the number of SIGTERM


def loaded(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def dockerfile(instruction):
    """The arguments of each such instruction."""
    return re.findall(rf"^{instruction} (.+)$", DOCKERFILE, re.MULTILINE)


def container():
    """The container that trains, and the Job that it is of."""
    (replicated,) = loaded(RECIPES / "jobset.yaml")["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    (found,) = job["template"]["spec"]["containers"]
    return found, job


def commands():
    """Arguments of every launch.py that a recipe starts, by the recipe's name."""
    (entry,), (default,) = map(dockerfile, ("ENTRYPOINT", "CMD"))
    assert json.loads(entry) == ["python", "launch.py"]
    page = (ROOT / "docs" / "clouds.md").read_text(encoding="utf-8")
    images = re.findall(r"^docker run .* mothernets (--config.*)$", page, re.MULTILINE)
    found = {
        "Dockerfile": json.loads(default),
        "jobset.yaml": container()[0]["args"],
        **{f"clouds.md {i}": shlex.split(text) for i, text in enumerate(images)},
    }
    scripts = {path.name: loaded(path)["run"] for path in SKYPILOT}
    for name, script in (scripts | {"slurm.sbatch": SBATCH}).items():
        ((_, text),) = re.findall(
            r"(\.venv/bin/python) launch\.py((?:.*\\\n)*.*)", script
        )
        found[name] = shlex.split(text.replace("\\\n", " "))
    return found


def parsed(arguments):
    """The flags of a command of launch.py, with its config."""
    values = flags.FlagValues()
    for flag in flags.FLAGS.get_flags_for_module(launch.__name__):
        values[flag.name] = copy.deepcopy(flag)
    sys.modules.pop("config_config", None)  # what was loaded before goes on there
    command_line.parse(["launch.py", *arguments], values)
    return values


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_every_command_parses_into_settings():
    given = commands()
    assert len(given) == 6
    for arguments in given.values():
        arguments = [a.replace("$(JOB_COMPLETION_INDEX)", "1") for a in arguments]
        values = parsed(arguments)
        settings = read_settings(values.config)
        if values.workdir is not None:  # beside the images, on what outlives the job
            assert Path(values.workdir).parts[:2] == Path(settings.data.dir).parts[:2]


def test_a_setting_that_there_is_not_is_refused():
    with pytest.raises(flags.Error, match="epochs"):
        parsed(["--config=configs/vgg_ensemble.py", "--config.epoch=3"])


def test_the_image_holds_what_its_command_needs():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {name for line in dockerfile("COPY") for name in line.split()[:-1]}
    assert ignored[1] == "*"
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
    assert {"launch.py", "configs", "mothernets_jax"} <= copied
    (default,) = dockerfile("ARG")
    page = (ROOT / "docs" / "clouds.md").read_text(encoding="utf-8")
    lists = {default, *re.findall(r"REQUIREMENTS=[\w.-]+", DOCKERFILE + page)}
    assert {name.partition("=")[2] for name in lists} == {
        "requirements.txt",
        "requirements-cuda.txt",
    }
    manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").split()
    for name in ("Dockerfile", ".dockerignore"):
        assert any(fnmatch.fnmatch(name, pattern) for pattern in manifest)


def test_the_jobset_starts_one_pod_for_each_host():
    jobset = loaded(RECIPES / "jobset.yaml")
    assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
    assert jobset["kind"] == "JobSet"
    (replicated,) = jobset["spec"]["replicatedJobs"]
    pod, job = container()
    values = parsed([a.replace("$(JOB_COMPLETION_INDEX)", "0") for a in pod["args"]])
    assert replicated["replicas"] == 1
    assert job["completionMode"] == "Indexed"  # which gives JOB_COMPLETION_INDEX
    assert job["parallelism"] == job["completions"] == values.num_hosts
    assert values.config.train.batch_size % values.num_hosts == 0
    name = jobset["metadata"]["name"]
    address = f"{name}-{replicated['name']}-0-0.{name}"
    port = pod["ports"][0]["containerPort"]
    assert values.coordinator == f"{address}:{port}"
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["volumeMounts"]}
    volumes = {volume["name"] for volume in job["template"]["spec"]["volumes"]}
    assert mounts.keys() == volumes
    assert Path(values.workdir).is_relative_to(*mounts.values())


def test_jobs_that_were_told_to_stop_begin_again():
    jobset = loaded(RECIPES / "jobset.yaml")["spec"]
    pod, job = container()
    (rule,) = jobset["failurePolicy"]["rules"]
    assert rule["action"] == "RestartJobSetAndIgnoreMaxRestarts"
    exits = job["podFailurePolicy"]["rules"][0]["onExitCodes"]
    assert (exits["containerName"], exits["values"]) == (pod["name"], [INTERRUPTED])
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # which a policy needs
    for path in SKYPILOT:
        resources = loaded(path)["resources"]
        assert resources["use_spot"]
        assert resources["job_recovery"]["recover_on_exit_codes"] == [INTERRUPTED]
    assert f'[ "$code" -eq {INTERRUPTED} ]' in SBATCH


def test_the_setup_of_skypilot_installs_what_there_is():
    assert len(SKYPILOT) == 2
    for path in SKYPILOT:
        task = loaded(path)
        (name,) = re.findall(r"pip install -r (\S+)", task["setup"])
        assert (ROOT / name).is_file()
        slice_of_hosts = task["resources"]["accelerators"].startswith("tpu")
        assert ("--distributed" in task["run"]) == slice_of_hosts
        for script in (task["setup"], task["run"]):
            subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_the_batch_script_asks_for_a_task_for_each_gpu():
    subprocess.run(["bash", "-n", RECIPES / "slurm.sbatch"], check=True)
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", SBATCH, re.MULTILINE))
    assert len(options) == SBATCH.count("#SBATCH")
    assert options["ntasks-per-node"] == options["gpus-per-node"]
    hosts = int(options["nodes"]) * int(options["ntasks-per-node"])
    assert parsed(commands()["slurm.sbatch"]).config.train.batch_size % hosts == 0
    assert re.fullmatch(r"TERM@\d+", options["signal"])  # to the tasks, not to bash
    assert options["requeue"] == ""
    assert SBATCH.rindex("#SBATCH") < SBATCH.index("srun")  # those below are not read


@pytest.mark.extras
@pytest.mark.parametrize("path", SKYPILOT, ids=lambda path: path.name)
def test_skypilot_reads_its_tasks(path, tmp_path):
    """Its own schema, and what it makes of the resources, without any cloud."""
    code = (
        f"import sky; (found,) = sky.Task.from_yaml({str(path)!r}).resources; "
        "print(found.use_spot, *found.accelerators, found.job_recovery)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        # It writes into the user's folder, and would report its use.
        env=os.environ
        | {"HOME": str(tmp_path), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    name = loaded(path)["resources"]["accelerators"].partition(":")[0]
    assert f"True {name} " in done.stdout
    assert "'recover_on_exit_codes': [143]" in done.stdout


@pytest.mark.extras
def test_linters_find_nothing():
    for tool, path in (
        ("shellcheck", RECIPES / "slurm.sbatch"),
        ("hadolint", ROOT / "Dockerfile"),
    ):
        program = Path(sys.executable).parent / tool
        done = subprocess.run(
            [program, path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
