"""How A1111's API says what went wrong, and when something was.

Source: AUTOMATIC1111/stable-diffusion-webui `modules/api/api.py`, api_middleware, and
`modules/shared_state.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest

if TYPE_CHECKING:
    from registry.errors import RegistryError

_UNPROCESSABLE: Final = 422
"""What FastAPI answers to a body that is not as it should be, and so A1111."""


def failure(error: RegistryError) -> tuple[int, object]:
    """Return the status and the body that tell of an error."""
    status = _UNPROCESSABLE if isinstance(error, BadRequest) else error.status
    said = f"{error}; {error.remedy}" if error.remedy else str(error)
    return status, {"error": type(error).__name__, "detail": str(error), "body": "", "errors": said}


def timestamp(at: int) -> str:
    """Return a time, in milliseconds, as a `job_timestamp`."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y%m%d%H%M%S")
