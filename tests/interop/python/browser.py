"""As much of a browser as a login needs: cookies, redirects, and forms without a script."""

from html.parser import HTMLParser

import httpx2


class Browser:
    def __init__(self) -> None:
        self.http = httpx2.AsyncClient(timeout=60)

    async def authorize(self, url: str) -> dict[str, str]:
        """Log in and agree, as a person would who is sent to `url` by a client: what the callback is told."""
        form = fields((await self.http.get(url)).text)
        if "username" in form:
            page = await self.http.post(url, data=form | {"username": "alice", "password": "wonderland"})
            form = fields(page.text)
        answer = await self.http.post(url, data=form | {"consent": "approve"})
        return dict(httpx2.URL(answer.headers["location"]).params)


def fields(html: str) -> dict[str, str]:
    """The inputs of a page with one form."""
    found: dict[str, str] = {}

    class Inputs(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "input":
                values = dict(attrs)
                found[values["name"] or ""] = values.get("value") or ""

    Inputs().feed(html)
    return found
