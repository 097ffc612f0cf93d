"""Live state for AI agents and long-running workflows.

`Client` and `AsyncClient` write LTMs, read them and follow them. The README of this package begins with an example.
"""

from importlib.metadata import version as _version

from ._async.client import AsyncClient
from ._async.follower import AsyncFollower
from ._async.ltm import AsyncLtm
from ._async.text import AsyncTextStream
from ._sync.client import Client
from ._sync.follower import Follower
from ._sync.ltm import Ltm
from ._sync.text import TextStream
from .data.difference import diff
from .data.patch import PatchError, apply_patch, pointer
from .data.texts import text_of
from .data.values import to_json
from .following.view import RolledBackTo, View
from .problems import (
    Busy,
    CursorMismatch,
    DamagedLog,
    DeadlineExceeded,
    DeletedLtm,
    Fenced,
    Forbidden,
    IdTaken,
    InvalidRequest,
    KeyReused,
    LtmError,
    NoAnswer,
    NotJson,
    OverLimit,
    PatchFailed,
    Problem,
    StateTooLarge,
    TokenFailed,
    TooManyRequests,
    Trimmed,
    Unauthenticated,
    Unavailable,
    UnknownLtm,
)
from .sending.background import BackgroundProducer, Queued, QueueFull
from .sending.calls import ListPage
from .sending.retry import Backoff, Retry

__version__ = _version("ltm-live")

__all__ = [
    "AsyncClient",
    "AsyncFollower",
    "AsyncLtm",
    "AsyncTextStream",
    "BackgroundProducer",
    "Backoff",
    "Busy",
    "Client",
    "CursorMismatch",
    "DamagedLog",
    "DeadlineExceeded",
    "DeletedLtm",
    "Fenced",
    "Follower",
    "Forbidden",
    "IdTaken",
    "InvalidRequest",
    "KeyReused",
    "ListPage",
    "Ltm",
    "LtmError",
    "NoAnswer",
    "NotJson",
    "OverLimit",
    "PatchError",
    "PatchFailed",
    "Problem",
    "QueueFull",
    "Queued",
    "Retry",
    "RolledBackTo",
    "StateTooLarge",
    "TextStream",
    "TokenFailed",
    "TooManyRequests",
    "Trimmed",
    "Unauthenticated",
    "Unavailable",
    "UnknownLtm",
    "View",
    "apply_patch",
    "diff",
    "pointer",
    "text_of",
    "to_json",
]
