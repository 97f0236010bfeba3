"""Commands whose reader goes away or that are told to end: quiet, quick, and with nothing left behind."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import guards

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(300)]

BINARY = Path(sys.executable).parent / "codeact-bot"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@contextmanager
def started(home, *arguments, **variables):
    known = {name: os.environ[name] for name in os.environ if name in ("PATH", "DOCKER_HOST", "LANG") or name.startswith("CODEACT_TEST")}
    environment = {**known, "HOME": str(home), "CODEACT_SANDBOX": "process", **variables}
    with subprocess.Popen(
        [BINARY, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=home
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def thread(home):
    """A conversation of some length, to be listed and exported."""
    with started(home, "demo") as process:
        printed, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return next(word for word in printed.split() if word.startswith("terminal:"))


def test_a_tour_that_nobody_reads_on_ends_quietly(home):
    with started(home, "demo") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) in (141, 143)
        assert process.stderr.read() == ""


@pytest.mark.needs("docker", "image")
def test_on_docker_too_and_no_container_stays(home, docker_image):
    before = guards.containers()
    with started(home, "demo", CODEACT_SANDBOX="docker", CODEACT_IMAGE=docker_image) as process:
        while "thread" not in process.stdout.readline():
            pass
        process.stdout.close()
        assert process.wait(60) in (141, 143)
        assert process.stderr.read() == ""
    assert guards.containers() <= before


@pytest.mark.parametrize("arguments", [("doctor",), ("history",), ("export",), ("export", "--format", "json")], ids=" ".join)
def test_a_closed_pipe_is_no_error(home, thread, arguments):
    given = [arguments[0], thread, *arguments[1:]] if arguments[0] == "export" else arguments
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        ended = subprocess.run(
            [BINARY, *given], stdin=subprocess.DEVNULL, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
        )  # fmt: skip
    assert (ended.stderr, ended.returncode) in [("", 141), ("", 143)]


@pytest.mark.parametrize("sandbox", [pytest.param("docker", marks=pytest.mark.needs("docker", "image")), "process"])
@pytest.mark.parametrize("line", ["thread", "step 1"])
def test_sigterm_closes_everything(home, sandbox, line):
    before = guards.containers()
    image = {"CODEACT_IMAGE": os.environ.get("CODEACT_TEST_IMAGE", "codeact-base:debian12")}
    with started(home, "demo", CODEACT_SANDBOX=sandbox, **image) as process:
        while line not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (143, "")
    assert guards.containers() <= before
    assert not [name for name in running_for(home) if "mongod" in name or "python" in name]


def running_for(home):
    """Return the command lines of processes that mention the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(home) in line and process.name != str(os.getpid()):
            found.append(line)
    return found


def test_a_conversation_can_be_forked_on_the_command_line(home, thread):
    with started(home, "fork", thread, "--at", "2") as process:
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    fork = printed.split()[0]
    assert printed.rstrip().endswith(f"Go on with: codeact-bot chat --thread {fork}")
    with started(home, "history", "--thread", fork) as process:
        assert len(process.communicate(timeout=60)[0].splitlines()) == 2
    with started(home, "fork", "terminal:none") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "There is no conversation" in said
