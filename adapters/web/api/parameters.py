"""The parameters of the API: what is taken, described and checked by the same schema."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Parameter(Generic[T]):
    """One parameter of a query."""

    name: str
    kind: Any
    """Its type, as pydantic knows it."""
    default: T
    said: str
    """What it is for."""

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.kind)

    def of(self, request: Request) -> T:
        """Read it from a request. Raises HTTPException."""
        given = request.query_params.getlist(self.name)
        if not given:
            return self.default
        try:
            return self._adapter.validate_strings(given[0] if len(given) == 1 else given)
        except ValidationError as error:
            raise HTTPException(400, f"{self.name} is not valid: {error.errors(include_url=False)[0]['msg']}.") from None

    def described(self) -> dict[str, Any]:
        """Describe it in the document."""
        schema = self._adapter.json_schema() | {"default": self.default}
        return {"name": self.name, "in": "query", "required": False, "description": self.said, "schema": schema}


def _text(most: int) -> Any:
    return Annotated[str, Field(max_length=most)]


LIMIT = Parameter(name="limit", kind=Annotated[int, Field(ge=1, le=100)], default=20, said="How many at most.")
SEARCH = Parameter(name="text", kind=_text(200), default="", said="Beginnings of words of the questions and of the names of those who asked.")
PLATFORM = Parameter(name="platform", kind=Literal["", "web", "slack", "discord", "terminal"], default="", said="Only those of this platform.")
STATE = Parameter(
    name="state", kind=Literal["", "running", "answered", "limit", "stopped", "failed", "approval"], default="", said="Only those that stand so."
)
AFTER = Parameter(name="after", kind=Annotated[str, Field(pattern=r"^([0-9]{1,14}\..{1,200})?$")], default="", said="`next` of the page before.")
BEFORE = Parameter(name="before", kind=Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")], default="", said="`next` of the page before.")
SINCE = Parameter(name="after", kind=BEFORE.kind, default="", said="The last turn that one has; so does the header Last-Event-ID.")
