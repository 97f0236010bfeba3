"""All errors, named after the situation; each message is a sentence with a remedy, fit to be shown to a person."""

from __future__ import annotations


class CodeactError(Exception):
    """Base of every error that codeact-bot raises on purpose."""


class ConfigurationInvalid(CodeactError):
    """A setting is missing or makes no sense."""


class SandboxUnavailable(CodeactError):
    """No sandbox of the wanted kind can run here."""


class SandboxLost(CodeactError):
    """The sandbox is gone: its container was removed, its process killed, its engine stopped."""


class ProtocolViolated(CodeactError):
    """The sandbox sent something that is no valid frame; it is not to be used any more."""


class ImageUnavailable(CodeactError):
    """The sandbox image is neither there nor can it be built."""


class FileRefused(CodeactError):
    """A file's name or size is not acceptable, or there is no such file."""


class ModelUnavailable(CodeactError):
    """The model could not be reached, or kept failing, after all retries."""


class ModelRefused(CodeactError):
    """The model's server refused the request for good: wrong key, unknown model, request too long."""


class StoreUnavailable(CodeactError):
    """MongoDB cannot be reached or started."""


class LeaseLost(CodeactError):
    """Another worker has taken this thread over; stop at once and write nothing more."""


class ThreadNotFound(CodeactError):
    """There is no such conversation."""


class TurnNotFound(CodeactError):
    """There is no such turn."""


class ScheduleNotFound(CodeactError):
    """There is no such schedule."""


class ScheduleRefused(CodeactError):
    """A schedule's times cannot be understood, or it asks for too much."""


class QueryInvalid(CodeactError):
    """A list was asked to go on at a place that there is not."""


class RunFailed(CodeactError):
    """A turn asked for through the Python API ended without an answer."""
