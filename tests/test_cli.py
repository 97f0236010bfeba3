"""The command line, as processes of its own on a private MongoDB: the tour, resuming, history, export, doctor."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codeact_bot import __version__
from codeact_bot.cli import parser

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Return a folder that stands for a new user's home."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def command(home):
    def run(*arguments, **variables):
        known = {name: os.environ[name] for name in ("PATH", "DOCKER_HOST", "LANG") if name in os.environ}
        environment = {**known, "HOME": str(home), "COLUMNS": "100", **variables}
        binary = Path(sys.executable).parent / "codeact-bot"
        return subprocess.run(
            [binary, *arguments], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, cwd=home, timeout=240
        )

    return run


def check_tour(ended):
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert "\x1b" not in ended.stdout
    assert "demo" in ended.stdout
    assert "KeyError" in ended.stdout
    assert ".png" in ended.stdout
    return re.search(r"terminal:[0-9a-f]{16}", ended.stdout)[0]


def check_forks(command, thread):
    turns = json.loads(command("export", thread, "--format", "json").stdout)["turns"]
    for at, number in (([], len(turns)), (["--at", "1"], 1), (["--at", turns[0]["id"]], 1)):
        told = command("fork", thread, *at).stdout
        assert f"has the first {number} of {len(turns)} questions. Go on with: codeact-bot chat --thread terminal:" in told
        fork = told.split()[-1]
        assert len(command("history", "--thread", fork).stdout.splitlines()) == number
    for wrong in ("0", "99", "nonsense"):
        refused = command("fork", thread, "--at", wrong)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"has {len(turns)} questions, and '{wrong}' is none of them" in refused.stderr


def test_version(command):
    assert command("--version").stdout == f"codeact-bot {__version__}\n"


@pytest.mark.parametrize("arguments", [["history", "--since", "yesterday"], ["history", "--limit", "0"], ["export"], ["dance"], *(["token", "create", *rest] for rest in ([], ["a b"], ["a", "--role", "owner"], ["a", "--expires", "0d"], ["a", "--expires", "99999d"]))])
def test_wrong_arguments_are_explained(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        parser().parse_args(arguments)
    assert left.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.needs("docker")
def test_the_tour_on_docker(command, docker_image):
    ended = command("demo", CODEACT_SANDBOX="docker", CODEACT_IMAGE=docker_image)
    check_tour(ended)
    assert "docker" in ended.stdout


def test_the_tour_in_a_process_then_history_and_export(command, home):
    thread = check_tour(command("chat", CODEACT_SANDBOX="process"))
    listed = command("history", "--thread", thread).stdout.splitlines()
    assert len(listed) == 5
    assert all(thread in line and "answered" in line for line in listed)
    assert len(command("history", "--thread", thread, "--error", "KeyError").stdout.splitlines()) == 1
    assert command("history", "--thread", thread, "--status", "failed").stdout == ""
    notebook = home / "tour.ipynb"
    assert command("export", thread, "--format", "ipynb", "-o", str(notebook)).returncode == 0
    assert json.loads(notebook.read_text())["nbformat"] == 4
    assert "KeyError" in command("export", thread).stdout
    check_forks(command, thread)


def test_an_unknown_thread_is_a_sentence(command):
    ended = command("chat", "--thread", "terminal:none", CODEACT_SANDBOX="process")
    assert ended.returncode == 1
    assert ended.stderr.startswith("codeact-bot: ")
    assert "Traceback" not in ended.stderr


def test_a_wrong_setting_is_a_sentence(command):
    ended = command("doctor", CODEACT_LIMITS__STEPS="0")
    assert (ended.returncode, "CODEACT_LIMITS" in ended.stderr) == (1, True)


def test_doctor(command):
    ended = command("doctor", DOCKER_HOST="unix:///nowhere.sock")
    assert ended.returncode == 0, ended.stdout
    for name in ("Python", "MongoDB", "Docker", "process", "model"):
        assert re.search(rf"^[✓–] {name}\b", ended.stdout, re.MULTILINE), name
    assert "OPENAI_API_KEY" in ended.stdout


def test_doctor_fails_where_nothing_can_run(command):
    ended = command("doctor", DOCKER_HOST="unix:///nowhere.sock", CODEACT_SANDBOX="docker", CODEACT_MONGO_URL="mongodb://127.0.0.1:1")
    assert ended.returncode == 1
    assert "✗ MongoDB" in ended.stdout
    assert "✗ Docker" in ended.stdout


def test_without_docker_the_chat_says_that_it_falls_back(command):
    ended = command("chat", DOCKER_HOST="unix:///nowhere.sock")
    check_tour(ended)
    assert "Docker is not usable, so code runs in a process." in ended.stdout


def test_tokens_are_made_listed_and_revoked(command):
    assert command("token", "list").stdout == ""
    made = command("token", "create", "ci", "--role", "auditor", "--expires", "30d")
    assert re.fullmatch(r"codeact_[\w-]{43}\n", made.stdout), made.stdout + made.stderr
    again = command("token", "create", "ci")
    assert (again.returncode, again.stdout) == (1, "")
    assert "There is a token 'ci' already." in again.stderr
    (line,) = command("token", "list").stdout.splitlines()
    assert re.fullmatch(r"ci\tauditor\t[-\d]{10} [:\d]{5}\tends [-\d]{10} [:\d]{5}", line)
    assert command("token", "revoke", "ci").returncode == 0
    assert command("token", "revoke", "ci").stderr == "codeact-bot: There is no token 'ci'. `codeact-bot token list` shows those there are.\n"
