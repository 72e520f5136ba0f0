"""A caching gateway before Airtable's REST API: FastAPI, with answers kept in Redis.

Environment: GATEWAY_TOKEN (what callers show), UPSTREAM (where answers come from), UPSTREAM_TOKEN,
REDIS_SOCKET. Run with `uvicorn app:app --workers 2`.

It returns plain data, as FastAPI's guide does, so FastAPI's encoder walks through every answer.
Wrapped in JSONResponse instead, a page of 10 comes up to twice as fast, a page of 100 four to six
times; a record hardly differs.
"""

import hmac
import json
import os
from contextlib import asynccontextmanager

import httpx
import redis.asyncio as redis
from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse

TOKEN = os.environ["GATEWAY_TOKEN"]
KEPT_SECONDS = 3600


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


def refused(status, kind, message):
    return JSONResponse({"error": {"type": kind, "message": message}}, status_code=status)


def cache_key(path, query):
    pairs = "&".join(f"{name}={value}" for name, value in sorted(query.multi_items()))
    return f"airtable:{path}?{pairs}"


@app.get("/v0/{path:path}")
async def read(path: str, request: Request, authorization: str = Header("")):
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(token.encode(), TOKEN.encode()):
        return refused(401, "AUTHENTICATION_REQUIRED", "Authentication required")
    key = cache_key(path, request.query_params)
    kept = await app.state.cache.get(key)
    if kept is not None:
        return json.loads(kept)
    answer = await app.state.airtable.get(f"/v0/{path}", params=request.query_params)
    if answer.status_code != 200:
        return refused(answer.status_code, "UPSTREAM", answer.text[:500])
    data = answer.json()
    await app.state.cache.set(key, json.dumps(data), ex=KEPT_SECONDS)
    return data
