"""A whole `codeact-bot chat` that is killed with SIGKILL at one moment after the other, and started again."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import guards, openai_server
from tests.adapters.pseudo_terminal import running

pytestmark = [pytest.mark.needs("mongo"), pytest.mark.timeout(600)]

CODE = """I compute it.

```python
import time
print("IT", "RUNS")
count = globals().get("count", 0) + 1
open("effects.txt", "a").write("x")
time.sleep(1.5)
print(2**100)
```
"""
MOMENTS = ["I compute", "IT RUNS", openai_server.RESULT, "That is"]
"""What was last on the screen when it was killed: a thought, output of the code, its result, the beginning of the answer."""
SANDBOXES = [pytest.param("docker", marks=pytest.mark.needs("docker", "image")), "process"]


@pytest.fixture(params=SANDBOXES)
def environ(request, tmp_path):
    """The environment of a user with a model, a private MongoDB and one kind of sandbox."""
    chosen = {"CODEACT_SANDBOX": request.param, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    if request.param == "docker":
        chosen |= {"CODEACT_IMAGE": request.getfixturevalue("docker_image"), "DOCKER_HOST": os.environ.get("DOCKER_HOST", "")}
    with openai_server.running(code=CODE, pause=0.02) as url:
        yield {**chosen, "OPENAI_BASE_URL": url}


def command(environ, *arguments):
    known = {name: os.environ[name] for name in os.environ if name == "PATH" or name.startswith("CODEACT_TEST")}
    binary = Path(sys.executable).parent / "codeact-bot"
    ended = subprocess.run([binary, *arguments], env={**known, **environ}, capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout


def chat(environ, *arguments):
    return running("codeact_bot.cli", "chat", *arguments, columns=100, **environ)


QUESTION = "What is 2 to the power of 100?"


def leave(terminal):
    terminal.type("/exit\r")
    assert terminal.wait_end() == 0


def test_killed_at_any_moment_it_goes_on_with_a_whole_history_and_without_leftovers(environ):
    before = guards.containers()
    with chat(environ) as terminal:
        terminal.wait_for("›")
        terminal.type(f"{QUESTION}\r")
        terminal.wait_for("30 tokens")
        leave(terminal)
    thread = re.search(r"terminal:[0-9a-f]{16}", terminal.text)[0]
    moments = MOMENTS if environ["CODEACT_SANDBOX"] == "docker" else MOMENTS[1:2]
    for number, moment in enumerate(moments, start=1):
        with chat(environ, "--thread", thread) as terminal:
            terminal.wait_for("\n›\n")
            seen = terminal.text.count(moment)
            terminal.type(f"{QUESTION}\r")
            terminal.wait_for(moment, times=seen + 1)
            terminal.kill()
        left = guards.containers() - before
        with chat(environ, "--thread", thread) as terminal:
            terminal.wait_for("A message from before is answered first.")
            terminal.wait_for("tokens")
            assert not left & guards.containers(), "the next start removes what the killed one left"
            leave(terminal)
        check(environ, thread, number + 1)
    assert guards.containers() <= before


def check(environ, thread, questions):
    """Look at the history that is kept: every question once, every step closed, every turn answered."""
    turns = json.loads(command(environ, "export", thread, "--format", "json"))["turns"]
    assert len(turns) == len({turn["incoming"]["id"] for turn in turns}) == questions
    for turn in turns:
        assert turn["outcome"]["ending"] == "answered"
        assert openai_server.RESULT in turn["outcome"]["text"]
        runs = [step["execution"]["status"] for step in turn["steps"] if step["execution"]]
        assert runs[-1] == "ok"
        assert set(runs[:-1]) <= {"lost"}
        assert len(runs) <= 2
    assert len(command(environ, "history", "--thread", thread).splitlines()) == questions
