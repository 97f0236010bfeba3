"""Runs `benchmarks.peers` in the peers' own environment, figure by figure, each with a time limit."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import docker

ROOT = Path(__file__).parents[1]
SECONDS = 90.0
"""What one figure may take; what takes longer hangs."""
NAMES = {
    "smolagents": "smolagents 1.26 DockerExecutor",
    "autogen-jupyter": "autogen-ext 0.7 DockerJupyterCodeExecutor",
    "autogen-command": "autogen-ext 0.7 DockerCommandLineCodeExecutor (no state)",
    "llm-plain": "llm-sandbox 0.3 (no state)",
    "llm-pool": "llm-sandbox 0.3, pool (no state)",
    "llm-interactive": "llm-sandbox 0.3, interactive",
}


async def row(python: str, name: str) -> tuple[str, ...]:
    """Measure one peer; the cells of its line in the table."""
    found = {figure: await _measured(python, name, figure) for figure in ("cold", "warm", "memory", "printed", "loop", "crowd")}
    warm, _, lost = found["warm"].partition("|")
    cold, pooled = ("–", found["cold"]) if name == "llm-pool" else (found["cold"], "–")
    return NAMES[name], cold, pooled, warm, lost or "–", found["memory"], found["printed"], found["loop"], found["crowd"]


async def _measured(python: str, name: str, figure: str) -> str:
    process = await asyncio.create_subprocess_exec(
        python, "-m", "benchmarks.peers", name, figure, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
        return str(json.loads(out.decode().splitlines()[-1]))
    except TimeoutError:
        process.kill()
        await process.wait()
        return "hangs"
    finally:
        await asyncio.to_thread(_clear)


def _clear() -> None:
    """Remove all containers: the engine is the benchmark's own, and some peers leave theirs behind."""
    client = docker.from_env().api
    for one in client.containers(all=True, quiet=True):
        client.remove_container(one["Id"], force=True)
    client.close()
