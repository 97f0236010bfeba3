"""The C functions that Python does not offer, called without the weight of ctypes."""

from __future__ import annotations

SET_PDEATHSIG, SET_DUMPABLE, SET_CHILD_SUBREAPER = 1, 4, 36
"""Options of prctl(2)."""

try:
    import _ctypes

    _library = _ctypes.dlopen(None, 2)
    _addresses = {name: _ctypes.dlsym(_library, name) for name in ("prctl", "fflush")}
except (ImportError, OSError, AttributeError):
    _addresses = {}


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process, where the C library can be reached."""
    if _addresses:
        _ctypes.call_cdeclfunction(_addresses["prctl"], (option, value, 0, 0, 0))


def flush() -> None:
    """Write out what C code has printed and the C library still holds."""
    if _addresses:
        _ctypes.call_cdeclfunction(_addresses["fflush"], (None,))
