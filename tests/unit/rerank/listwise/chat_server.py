"""An OpenAI-compatible server that ranks by the words a passage shares with the query; real HTTP on a loopback port."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cascade.rerank.listwise.order import write

_PASSAGE = re.compile(r"^Passage (\w+): (.*)$", re.MULTILINE)
_QUERY = re.compile(r"^Question: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Reply:
    """What the server sends back."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


def says(text: str, *, tokens: int = 7, alternatives: Mapping[str, float] | None = None) -> Reply:
    """A completion with this text; each of its characters stands for a token that has these `alternatives`."""
    told = [{"token": t, "logprob": v} for t, v in (alternatives or {}).items()]
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
    if alternatives is not None:
        choice["logprobs"] = {"content": [{"token": c, "logprob": -1.0, "top_logprobs": told} for c in text]}
    return Reply(200, json.dumps({"choices": [choice], "usage": {"total_tokens": tokens}}))


def passages_of(prompt: str) -> list[tuple[str, str]]:
    """The identifiers and passages that a prompt shows."""
    return _PASSAGE.findall(prompt)


def by_overlap(prompt: str) -> Reply:
    """The order of the passages in `prompt` by the words they share with its query."""
    queries = _QUERY.findall(prompt)
    wanted = set(re.findall(r"\w+", queries[-1].lower())) if queries else set()
    shared = [len(wanted & set(re.findall(r"\w+", text.lower()))) for _, text in passages_of(prompt)]
    return says(write(sorted(range(len(shared)), key=lambda place: -shared[place])))


Answer = Callable[[str], "Reply | Awaitable[Reply]"]


class ChatServer:
    """Answers by what stands in `script` first and by overlap after; keeps what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.script: deque[Answer] = deque()
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.begun = asyncio.Event()
        self.left = asyncio.Event()
        """Set when a caller went away before it was answered."""

    def prompts(self) -> list[str]:
        """The user's turns or plain prompts, in the order they came."""
        return [_prompt(asked) for asked in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            asked = json.loads(await reader.readexactly(int(headers["content-length"])))
            self.asked.append(asked)
            self.headers.append(headers)
            self.begun.set()
            reply = await self._answer(asked, reader)
            if reply is not None:
                extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
                body = reply.body.encode()
                extra += f"content-length: {len(body)}\r\nconnection: close\r\n"
                writer.write(f"HTTP/1.1 {reply.status} X\r\n{extra}\r\n".encode())
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()

    async def _answer(self, asked: dict[str, Any], reader: asyncio.StreamReader) -> Reply | None:
        """The reply, or None when the caller left first."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            answer = self.script.popleft() if self.script else by_overlap
            working = asyncio.ensure_future(_reply(answer, _prompt(asked)))
            await asyncio.wait({gone, working}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            working.cancel()
            self.left.set()
            return None
        finally:
            gone.cancel()
            self.in_flight -= 1


def _prompt(asked: Mapping[str, Any]) -> str:
    plain = asked.get("prompt", asked.get("input"))
    return str(asked["messages"][-1]["content"] if plain is None else plain)


async def _reply(answer: Answer, prompt: str) -> Reply:
    await asyncio.sleep(0)
    found = answer(prompt)
    return found if isinstance(found, Reply) else await found


@asynccontextmanager
async def chat_server() -> AsyncIterator[ChatServer]:
    """A server on a free port of the loopback interface, for as long as the context lasts."""
    chat = ChatServer()
    server = await asyncio.start_server(chat.serve, "127.0.0.1", 0)
    chat.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield chat
    finally:
        server.close()
        await server.wait_closed()
