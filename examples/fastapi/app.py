"""A FastAPI app that starts agents, and gives its page a ticket to follow one.

The page never gets a token: a ticket opens one socket, within 30 seconds. The app decides who may follow what.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import FileResponse
from ltm_live import AsyncClient, AsyncLtm

URL = os.environ.get("LTM_URL", "http://localhost:8000")
HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "clients" / "js" / "dist" / "ltm-live.min.js"

# The engine may write, the page may only read: two tokens, if the services ask for one.
engine = AsyncClient(URL, token=os.environ.get("LTM_TOKEN"))
pages = AsyncClient(URL, token=os.environ.get("LTM_READ_TOKEN") or os.environ.get("LTM_TOKEN"))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine, pages:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/agents")
async def start(tasks: BackgroundTasks) -> dict[str, str]:
    """Starts an agent, and answers at once."""
    ltm = await engine.create("app.Agent", state={"todo": ["plan", "search", "write"], "done": [], "_status": "active"})
    tasks.add_task(work, ltm)
    return {"ltm": str(ltm.id)}


@app.post("/agents/{ltm}/socket")
async def socket(ltm: int) -> dict[str, str]:
    """Where the page follows an agent. Check here that the user may do so."""
    ticket = await pages.ticket()
    return {"url": f"{URL.replace('http', 'ws', 1)}/ws/{ltm}?ticket={ticket['ticket']}"}


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(HERE / "page.html")


@app.get("/ltm-live.min.js")
async def script() -> FileResponse:
    return FileResponse(SCRIPT, media_type="text/javascript")


async def work(ltm: AsyncLtm) -> None:
    """The agent. Each task is a step."""
    for _ in range(3):
        await asyncio.sleep(1)  # the real work goes here
        async with ltm.step("execute") as state:
            state["done"].append(state["todo"].pop(0))
            if not state["todo"]:
                state["_status"] = "finished"
