"""The official Python SDK against the example: `python client.py PROGRAM`."""

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from browser import Browser
from example import Example


class Storage:
    """Where the SDK keeps things; the registrations are counted."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None
    registrations = 0

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client: OAuthClientInformationFull) -> None:
        self.client = client
        self.registrations += 1


class Interop:
    def __init__(self, program: str):
        self.example = Example(program)
        self.server = f"{self.example.url}/mcp"
        self.storage, self.browser = Storage(), Browser()
        self.asked: list[httpx2.QueryParams] = []
        self.callback: dict[str, str] = {}
        self.calls = self.passed = self.failed = 0
        # Nothing about how to authenticate: by RFC 7591 that is a secret, by HTTP Basic.
        metadata = OAuthClientMetadata(client_name="Python SDK", redirect_uris=["http://127.0.0.1:53683/callback"])
        self.provider = OAuthClientProvider(self.server, metadata, self.storage, self.redirect, self.answer)

    async def redirect(self, url: str) -> None:
        self.asked.append(httpx2.URL(url).params)
        self.callback = await self.browser.authorize(url)

    async def answer(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**self.callback)

    async def step(self, name: str, act: Callable[[], Awaitable[str | None]], **expected: int) -> None:
        """Do something, and compare what it adds to the audit with what is expected of it."""
        before = self.example.audit()
        try:
            result = await act()
            added = {action: self.example.audit()[action] - before[action] for action in expected}
            assert added == expected, f"{added} instead of {expected}"
            self.passed += 1
            print(f"ok    {name}{f': {result}' if result else ''}")
        except Exception:
            self.failed += 1
            print(f"FAIL  {name}: {traceback.format_exc()}")

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        async with (
            httpx2.AsyncClient(auth=self.provider, timeout=60) as http,
            Client(streamable_http_client(self.server, http_client=http)) as self.client,
        ):
            yield

    def logins(self, expected: int) -> None:
        """Compare how often the user was asked to log in or to agree; the client registers once and for all."""
        assert (self.storage.registrations, len(self.asked)) == (1, expected)

    async def run(self) -> None:
        expire, step = self.expire, self.step

        async def first() -> str:
            await self.whoami()
            self.logins(1)
            asked = self.asked[0]
            assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "notes:read")
            assert asked["resource"] == self.server
            assert self.callback["iss"] == self.example.url
            assert self.storage.client and self.storage.client.client_secret
            return f"protocol {self.client.protocol_version}"

        async def parallel() -> str:
            await asyncio.gather(*(self.whoami() for _ in range(5)))
            return "5 of 5 succeed, 1 rotation, 0 retries"

        async def busy() -> str:
            before = self.calls
            for _ in range(2):
                for _ in range(50):
                    await self.whoami()
                expire()
            await self.whoami()
            self.logins(1)
            return f"{self.calls - before} calls"

        async with self.connected():
            await step("discovery, registration, login with PKCE, tool call", first)
            expire()
            await step("an expired token is refreshed", self.whoami, rotate=1, retry=0, deny=0)
            expire()
            await step("five parallel calls on an expired token", parallel, rotate=1, retry=0, deny=0, reuse_revoke_family=0)
            expire()
            await step("the session goes on after them", self.whoami, rotate=1, retry=0, deny=0)
            await step("calls in quick succession, past two expiries", busy, authorize=0, deny=0, reuse_revoke_family=0)

        async def outlived() -> None:
            await self.whoami()
            expire()
            await self.whoami()
            self.logins(1)

        async def more() -> None:
            assert "alice" in (await self.call("add_note", text="a note")).lower()
            assert set(self.asked[-1]["scope"].split()) == {"notes:read", "notes:write"}
            await self.whoami()
            self.logins(2)

        async def revoked() -> None:
            await self.revoke()
            await self.whoami()
            self.logins(3)

        # A connection that breaks ends this SDK's client, though not its login.
        self.example.kill()
        self.example.start()
        async with self.connected():
            await step("the session outlives the server", outlived, redeem=0, deny=0)
            await step("more scope: 403, consent, granted in one call", more, authorize=1, redeem=1)
            await step("revoked by the client (RFC 7009): 401, and a clean login", revoked, revoke_token=1, redeem=1)

        async def summary() -> str:
            audit = self.example.audit()
            assert not audit["reuse_revoke_family"] and not audit["reuse_reject_only"]
            return f"{self.calls} calls answered, {audit['rotate']} rotations, {audit['retry']} retries in all"

        await step("no reuse was ever seen", summary)

    def expire(self) -> None:
        """The access token is over, by the clock that this SDK goes by."""
        self.provider.context.token_expiry_time = 1.0

    async def call(self, tool: str, **arguments: str) -> str:
        result = await self.client.call_tool(tool, arguments)
        self.calls += 1
        return result.content[0].text

    async def whoami(self) -> None:
        assert "alice" in (await self.call("whoami")).lower()

    async def revoke(self) -> None:
        client, tokens = self.storage.client, self.storage.tokens
        assert client and tokens
        async with httpx2.AsyncClient(auth=(client.client_id, client.client_secret or ""), timeout=60) as http:
            response = await http.post(f"{self.example.url}/revoke", data={"token": tokens.refresh_token})
        assert response.status_code == 200, response


async def main() -> None:
    interop = Interop(sys.argv[1])
    try:
        await interop.run()
    finally:
        interop.example.stop()
    print(f"{interop.passed} passed, {interop.failed} failed")
    sys.exit(interop.failed != 0)


asyncio.run(main())
