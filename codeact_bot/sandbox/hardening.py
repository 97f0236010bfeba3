"""What a container may do and use: as little as running code needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from docker import APIClient
from docker.types import LogConfig, Ulimit

from codeact_bot.types import Resources

USER = 1000
"""User and group id of the code."""
TMP = 64 * 1024 * 1024
"""Bytes of /tmp, and of each volume that the image declares, which would be unbounded otherwise."""
GVISOR_THREADS = 192
"""Threads that gVisor's own kernel may have in a container, on top of the code's; about 40 were counted in an idle one."""
ENVIRONMENT = {
    "HOME": "/work",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def hardened(client: APIClient, resources: Resources, *, volumes: Sequence[str], runtime: str | None, gvisor: bool) -> dict[str, Any]:
    """Describe a container of these resources to the engine; `volumes` are those that its image declares."""
    scratch = {"/work": resources.disk, "/tmp": TMP, **dict.fromkeys(volumes, TMP)}  # noqa: S108
    host = client.create_host_config(
        network_mode="none",
        read_only=True,
        tmpfs={path: f"rw,nosuid,nodev,size={size},mode=0700,uid={USER},gid={USER}" for path, size in scratch.items()},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        mem_limit=resources.memory,
        memswap_limit=resources.memory,
        nano_cpus=int(resources.cpus * 1e9),
        pids_limit=resources.processes + (GVISOR_THREADS if gvisor else 0),
        ulimits=[Ulimit(name="nofile", soft=resources.open_files, hard=resources.open_files), Ulimit(name="core", soft=0, hard=0)],
        log_config=LogConfig(type=LogConfig.types.NONE),
        ipc_mode="private",
        runtime=runtime,
        auto_remove=True,
    )
    return {"user": f"{USER}:{USER}", "working_dir": "/work", "hostname": "sandbox", "environment": ENVIRONMENT, "host_config": host}
