"""Pictures of pages, by a Chromium that is driven over its own protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = shutil.which("chromium") or "chromium"


async def picture(address: str, target: Path, *, script: str = "", width: int = 900, height: int = 900) -> None:
    """Open a page, run a script in it, and save what is then seen as a PNG."""
    with tempfile.TemporaryDirectory() as profile:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}",
            f"--window-size={width},{height}", "--force-device-scale-factor=1.5", "--hide-scrollbars", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await _shoot(Path(profile) / "DevToolsActivePort", address, target, script)
        finally:
            process.terminate()
            await process.wait()


async def _shoot(port_file: Path, address: str, target: Path, script: str) -> None:
    for _ in range(200):
        if port_file.exists() and port_file.read_text():
            break
        await asyncio.sleep(0.05)
    port = port_file.read_text().splitlines()[0]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as answer:
            page = next(each for each in await answer.json() if each["type"] == "page")
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            numbers = itertools.count(1)

            async def call(method: str, **params: Any) -> Any:
                number = next(numbers)
                await socket.send_json({"id": number, "method": method, "params": params})
                async for message in socket:
                    said = json.loads(message.data)
                    if said.get("id") == number:
                        assert "result" in said, said
                        return said["result"]
                raise AssertionError("the browser went away")

            await call("Page.navigate", url=address)
            await asyncio.sleep(2)
            if script:
                await call("Runtime.evaluate", expression=script, awaitPromise=True)
                await asyncio.sleep(1.5)
            target.write_bytes(base64.b64decode((await call("Page.captureScreenshot", format="png"))["data"]))
