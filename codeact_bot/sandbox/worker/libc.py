"""The C functions that Python does not offer, called without the weight of ctypes."""

from __future__ import annotations

SET_PDEATHSIG, SET_DUMPABLE, SET_CHILD_SUBREAPER = 1, 4, 36
"""Options of prctl(2)."""

try:
    import _ctypes

    _library = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]
except (ImportError, OSError, AttributeError):
    _library = 0


def _call(name: str, *arguments: object) -> None:
    """Call a C function, where the C library can be reached and has it: macOS has no prctl."""
    if _library:
        try:
            _ctypes.call_cdeclfunction(_ctypes.dlsym(_library, name), arguments)
        except OSError:
            return


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process."""
    _call("prctl", option, value, 0, 0, 0)


def flush() -> None:
    """Write out what C code has printed and the C library still holds."""
    _call("fflush", None)
