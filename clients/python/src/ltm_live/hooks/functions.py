"""Plain functions: each call of a function is an LTM, and the functions that it calls are its steps.

    @step
    def search(query): ...

    @record(client, fqn="app.Report")
    def report(topic):
        return search(topic)

The state has the `arguments` of the call, the latest results of its `steps`, the names of those that are `running`, the
`result`, and `_status`: `active`, `finished`, `error` or `cancelled`. Arguments and results that are not JSON are left
out.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from .._sync.client import Client
from .._sync.ltm import Ltm
from .recording import Recording

F = TypeVar("F", bound=Callable[..., Any])

_current: ContextVar[_Run | None] = ContextVar("ltm_live_run", default=None)


def record(
    client: Client, *, fqn: str | None = None, key: Callable[..., str] | None = None, strict: bool = False
) -> Callable[[F], F]:
    """Makes each call of a function an LTM, of the class `fqn` (default: module and name of the function).

    `key` gets the arguments of the call, and returns the key of the LTM. A second call with this key goes on with the
    LTM. Without it, each call has an LTM of its own.
    """

    def decorated(function: F) -> F:
        name = fqn or f"{function.__module__}.{function.__qualname__}".replace(".<locals>", "")

        def begun(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Run:
            return _Run(Recording(client, name, key(*args, **kwargs) if key else None, strict=strict))

        return _wrapped(function, lambda args, kwargs: _Call(begun(args, kwargs), function, args, kwargs))

    return decorated


def step(function: F) -> F:
    """Makes each call of a function a step of the LTM whose function calls it. Elsewhere the function just runs.

    Tasks of `asyncio` and `asyncio.to_thread` belong to the function that started them. A thread of your own belongs to
    it if it runs in `contextvars.copy_context()`.
    """

    def called(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Step | None:
        run = _current.get()
        return None if run is None else _Step(run, function, args, kwargs)

    return _wrapped(function, called)


def note(**members: Any) -> None:
    """Changes members of the state of the current LTM, such as `note(progress=0.5)`."""
    run = _current.get()
    if run is not None:
        run.recording.change("note", members)


def current() -> Ltm | None:
    """The LTM of the function that runs, if there is one."""
    run = _current.get()
    return None if run is None else run.recording.ltm


class _Run:
    """A call of a recorded function, and the error that has been recorded last."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.recorded: BaseException | None = None


class _Step:
    """A call of a function within a run."""

    def __init__(
        self, run: _Run, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        self.run, self.recording, self.name = run, run.recording, function.__name__
        self.arguments = self.recording.members(_arguments(function, args, kwargs))
        self.item = self.recording.item(self.name, **self.arguments)

    def begin(self) -> tuple[Any, ...]:
        """The arguments of the step at the begin."""
        return "begin", lambda state: {"running": [*state.get("running", []), self.name]}, self.item

    def end(self, result: Any) -> tuple[Any, ...]:
        """The arguments of the step at the end."""
        own = self.recording.members({self.name: result})

        def ended(state: dict[str, Any]) -> dict[str, Any]:
            return {"steps": {**state.get("steps", {}), **own}, "running": self._others(state)}

        return "execute", ended, self.item

    def failed(self) -> tuple[Any, ...]:
        """The arguments of the step after an exception."""
        return "error", lambda state: {"running": self._others(state)}, self.item

    def cancelled(self) -> tuple[Any, ...]:
        """The arguments of the step if its call does not end by itself."""
        return "cancel", lambda state: {"running": self._others(state)}, self.item

    def enter(self) -> Any:
        """The context of the call."""
        return None

    def leave(self, token: Any) -> None:
        """The context of the caller again."""

    @property
    def ends(self) -> bool:
        """Whether an exception ends the run."""
        return False

    def _others(self, state: dict[str, Any]) -> list[str]:
        running = list(state.get("running", []))
        if self.name in running:
            running.remove(self.name)
        return running


class _Call(_Step):
    """A call of a recorded function."""

    def begin(self) -> tuple[Any, ...]:
        members = {"_status": "active", "arguments": self.arguments, "steps": {}, "running": []}
        return "begin", lambda state: members, self.item

    def end(self, result: Any) -> tuple[Any, ...]:
        members = {"_status": "finished", **self.recording.members({"result": result})}
        return "finish", lambda state: members, self.item

    def failed(self) -> tuple[Any, ...]:
        return "error", lambda state: {"_status": "error"}, self.item

    def cancelled(self) -> tuple[Any, ...]:
        return "cancel", lambda state: {"_status": "cancelled", "running": []}, self.item

    def enter(self) -> Any:
        return _current.set(self.run)

    def leave(self, token: Any) -> None:
        try:
            _current.reset(token)
        except ValueError:
            # A coroutine that is closed may end in another context, in which the run never was the current one.
            pass

    @property
    def ends(self) -> bool:
        return True


def _wrapped(function: F, called: Callable[[tuple[Any, ...], dict[str, Any]], _Step | None]) -> F:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} is a generator; record a function that returns its result")

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = called(args, kwargs)
        if call is None:
            return function(*args, **kwargs)
        try:
            call.recording.change(*call.begin())
            result = _called(call, function, args, kwargs)
        except Exception:
            raise
        except BaseException:
            call.recording.change(*call.cancelled())
            raise
        call.recording.change(*call.end(result))
        return result

    @functools.wraps(function)
    async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
        call = called(args, kwargs)
        if call is None:
            return await function(*args, **kwargs)
        try:
            await call.recording.achange(*call.begin())
            result = await _acalled(call, function, args, kwargs)
        except Exception:
            raise
        except GeneratorExit:
            # The coroutine is closed, maybe by the garbage collector: it can neither await a thread nor wait for one.
            threading.Thread(target=call.recording.change, args=call.cancelled(), name="ltm-live cancel").start()
            raise
        except BaseException:
            await call.recording.achange(*call.cancelled())
            raise
        await call.recording.achange(*call.end(result))
        return result

    return cast(F, async_wrapper if inspect.iscoroutinefunction(function) else wrapper)


def _called(call: _Step, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Calls the function, and records its exception."""
    token = call.enter()
    try:
        return function(*args, **kwargs)
    except Exception as error:
        if error is not call.run.recorded:
            call.run.recorded = error
            call.recording.fail(error, call.item, ends=False)
        call.recording.change(*call.failed())
        raise
    finally:
        call.leave(token)


async def _acalled(call: _Step, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Does `_called` without blocking the event loop."""
    token = call.enter()
    try:
        return await function(*args, **kwargs)
    except Exception as error:
        if error is not call.run.recorded:
            call.run.recorded = error
            await call.recording.afail(error, call.item, ends=False)
        await call.recording.achange(*call.failed())
        raise
    finally:
        call.leave(token)


def _arguments(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by their names. Those that do not fit fail the call itself."""
    try:
        arguments = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError:
        return dict(kwargs)
    return {name: value for name, value in arguments.items() if name not in ("self", "cls")}
