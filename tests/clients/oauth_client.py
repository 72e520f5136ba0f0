"""Walks the whole way of an OAuth client with the Python SDK: from a refusal to a call, and to more scopes.

oauth_client.py MCP_URL
The server has the base of tests/fixtures/shop.json and lets records be written.
"""

import asyncio
import sys
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

CALLBACK = "http://127.0.0.1:1/callback"
PATIENCE = 30


class Storage:
    """Keeps what the SDK wants kept."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Browser:
    """A person's browser: follows where it is sent until it comes back."""

    async def open(self, url):
        async with httpx2.AsyncClient(timeout=PATIENCE) as http:
            for _ in range(10):
                if url.startswith(CALLBACK):
                    break
                answer = await http.get(url)
                assert answer.is_redirect, f"{url}: {answer.status_code} {answer.text}"
                url = urljoin(url, answer.headers["location"])
        assert url.startswith(CALLBACK), f"it leads round and round: {url}"
        self.came_back = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    async def answer(self):
        came = self.came_back
        return AuthorizationCodeResult(code=came["code"], state=came["state"], iss=came.get("iss"))


async def told(storage):
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        return (await http.get(urljoin(str(storage.client.issuer), "/told"))).json()


async def main():
    storage, browser = Storage(), Browser()
    metadata = OAuthClientMetadata(
        client_name="walker", redirect_uris=[CALLBACK], token_endpoint_auth_method="none",
        grant_types=["authorization_code", "refresh_token"],
    )
    auth = OAuthClientProvider(sys.argv[1], metadata, storage, browser.open, browser.answer)
    async with httpx2.AsyncClient(auth=auth, timeout=PATIENCE) as http:
        async with Client(streamable_http_client(sys.argv[1], http_client=http)) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert "list_records" in tools and "create_records" not in tools, tools
            listed = await client.call_tool("list_records", {"base": "Shop", "table": "Goods"})
            assert "Lamp" in listed.content[0].text, listed

            first = storage.tokens
            auth.context.token_expiry_time = 1
            await client.call_tool("list_records", {"base": "Shop", "table": "Goods"})
            assert storage.tokens.access_token != first.access_token
            assert [t["granted"] for t in await told(storage) if "granted" in t] == ["authorization_code", "refresh_token"]

            made = await client.call_tool("create_records", {"base": "Shop", "table": "Goods", "records": [{"Name": "Chair"}]})
            assert not made.is_error, made
            assert set(storage.tokens.scope.split()) == {"schema.bases:read", "data.records:read", "data.records:write"}
            assert len([t for t in await told(storage) if "registered" in t]) == 1
    print("walked the whole way")


asyncio.run(main())
