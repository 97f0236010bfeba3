"""The terminal chat."""

from adapters.console.adapter import ConsoleAdapter
from adapters.console.blocks import About
from adapters.console.desk import Desk
from adapters.console.foot import Foot
from adapters.console.keyboard import Line

__all__ = ["About", "ConsoleAdapter", "Desk", "Foot", "Line"]
