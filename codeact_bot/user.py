"""Who runs this program."""

from __future__ import annotations

import getpass
import os


def user() -> str:
    """Return the name of who runs this program; in a container that is often a number without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user-{os.getuid()}"
