"""Reading a pickle where a library that it needs is missing, or where another Python wrote it."""

from __future__ import annotations

import pickle
from typing import Any


class Gone:
    """Stands for what cannot be made here, and is found again by that it cannot be pickled."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Take the place of anything."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make nothing."""
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse."""
        raise pickle.PicklingError("it is gone")


class Salvage(pickle.Unpickler):
    """Puts something in the place of what is not installed here, and of functions that another version of Python or cloudpickle wrote.

    They may come out broken, or crash the interpreter when they are called.
    """

    def __init__(self, file: Any, *, buffers: Any, foreign: bool) -> None:
        super().__init__(file, buffers=buffers)
        self._foreign = foreign

    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function of that name, or what stands for it."""
        if self._foreign and module.startswith("cloudpickle"):
            return Gone
        try:
            return super().find_class(module, name)
        except Exception:
            return Gone
