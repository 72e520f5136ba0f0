"""A caching gateway before Airtable that keeps to its limits: FastAPI, httpx, Redis.

Environment: GATEWAY_TOKEN (what callers show), UPSTREAM, UPSTREAM_TOKEN, REDIS_SOCKET, TTL (seconds
an answer is kept). Run with `uvicorn app:app --workers 2`.

Answers are kept as the bytes they came as, so that nothing is encoded again. Only one request asks
for what is not there; the others wait for it. Both workers share four requests a second.
"""

import asyncio
import hmac
import os
from contextlib import asynccontextmanager

import httpx
import redis.asyncio as redis
from fastapi import FastAPI, Request
from fastapi.responses import Response

TOKEN = os.environ["GATEWAY_TOKEN"].encode()
TTL = int(os.environ["TTL"])
# Less than five requests a second, for they do not all take as long.
SPACING_MS = 250
PAUSE = 0.01


@asynccontextmanager
async def lifespan(app):
    app.state.cache = redis.Redis(unix_socket_path=os.environ["REDIS_SOCKET"])
    app.state.airtable = httpx.AsyncClient(
        base_url=os.environ["UPSTREAM"],
        headers={"Authorization": f"Bearer {os.environ['UPSTREAM_TOKEN']}"},
        timeout=30,
    )
    yield
    await app.state.airtable.aclose()
    await app.state.cache.aclose()


app = FastAPI(lifespan=lifespan, openapi_url=None)


async def turn():
    """Waits until the last request of either worker is long enough ago."""
    while not await app.state.cache.set("turn", b"1", nx=True, px=SPACING_MS):
        await asyncio.sleep(PAUSE)


async def ask(request, path, body=b""):
    await turn()
    kind = {"content-type": request.headers["content-type"]} if "content-type" in request.headers else {}
    return await app.state.airtable.request(
        request.method, f"/v0/{path}", params=request.query_params.multi_items(), content=body, headers=kind
    )


def plain(answer):
    return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))


@app.api_route("/v0/{path:path}", methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
async def pass_on(path: str, request: Request):
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(token.encode(), TOKEN):
        return Response(b'{"error":{"type":"AUTHENTICATION_REQUIRED"}}', 401, media_type="application/json")
    cache = app.state.cache
    if request.method != "GET":
        return plain(await ask(request, path, await request.body()))
    key = f"airtable:{path}?{request.url.query}"
    while (kept := await cache.get(key)) is None:
        if await cache.set(f"lock:{key}", b"1", nx=True, ex=30):
            try:
                answer = await ask(request, path)
                if answer.status_code == 200:
                    await cache.set(key, answer.content, ex=TTL)
                return plain(answer)
            finally:
                await cache.delete(f"lock:{key}")
        await asyncio.sleep(PAUSE)
    return Response(kept, media_type="application/json")
