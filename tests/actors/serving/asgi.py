"""Applications called as a server would call them, without one."""

import asyncio
from collections.abc import Iterable

import httpx


def ask(app, *requests: tuple[str, str, dict], at_once: bool = False) -> list[httpx.Response]:
    """Answers to (method, path, options of httpx), one after the other or all at once."""

    async def asked() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            calls = [client.request(method, path, **options) for method, path, options in requests]
            return await asyncio.gather(*calls) if at_once else [await call for call in calls]

    return asyncio.run(asked())


async def spoken(app, scope: dict, messages: Iterable[dict]) -> tuple[list[dict], int]:
    """What an application sends, and how many of the messages it took; it waits where they end."""
    sent, waiting, taken = [], iter(messages), 0

    async def receive():
        nonlocal taken
        for message in waiting:
            taken += 1
            return message
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": "/v1/diagnose", "headers": [], **scope}, receive, send)
    return sent, taken


async def echo(scope, receive, send) -> None:
    """An application that answers with the length of what it is sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})
