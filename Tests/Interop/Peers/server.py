"""A WebSocket server for the interop tests: the asyncio server of the package `websockets`.

Prints `port N` once it listens on N, and then one line for each thing that a test wants to know. Ends when its standard
input does, so that it never outlives the tests.

The path of the URL asks for a behaviour: see the functions marked `@path`.
"""

import asyncio
import logging
import os
import socket
import sys
import threading
import urllib.parse

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

PATIENCE = 60  # seconds; only a failure takes that long
BEHAVIOURS = {}


def path(name):
    def register(behaviour):
        BEHAVIOURS[name] = behaviour
        return behaviour

    return register


def report(line):
    print(line, flush=True)


def query(ws):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(ws.request.path).query))


@path("/echo")
async def echo(ws):
    async for message in ws:
        await ws.send(message)


@path("/silent")
async def read_and_say_nothing(ws):
    async for _ in ws:
        pass


@path("/count")
async def count_what_comes_before_the_close(ws):
    count = 0
    async for _ in ws:
        count += 1
    report(f"received {count}")


@path("/deaf")
async def never_read(ws):
    ws.transport.pause_reading()
    await ws.wait_closed()


@path("/fragments")
async def send_fragments(ws):
    async def with_a_ping_between():
        yield "before"
        await ws.ping("between")
        yield " and after"

    await ws.send(["one, ", "zwölf, ", "漢字"])
    await ws.send([b"\x00", b"\x01\x02", b"", b"\xff"])
    await ws.send(["", "", ""])
    await ws.send(str(number % 10) for number in range(1000))
    await ws.send(with_a_ping_between())
    await ws.wait_closed()


@path("/ping")
async def ping_and_tell(ws):
    pong = await ws.ping("are you there?")
    latency = await asyncio.wait_for(pong, PATIENCE)
    await ws.send(f"pong after {latency} s")
    await ws.wait_closed()


@path("/close")
async def close(ws):
    wish = query(ws)
    await ws.send("last words")
    await ws.close(int(wish["code"]), wish.get("reason", ""))


@path("/greet")
async def send_with_the_handshake(ws):
    # The socket has been corked since the request came (see `process_request`): the kernel sends the answer and all of
    # this in as few packets as it fits into.
    for number in range(10):
        await ws.send(f"greeting {number}")
    cork(ws, False)
    await ws.wait_closed()


@path("/request")
async def tell_the_request(ws):
    await ws.send(ws.request.path)
    for name, value in ws.request.headers.raw_items():
        await ws.send(f"{name}: {value}")
    await ws.close()


@path("/extensions")
async def tell_the_extensions_and_echo(ws):
    await ws.send(ws.response.headers.get("Sec-WebSocket-Extensions", "none"))
    await echo(ws)


@path("/subprotocol")
async def tell_the_subprotocol(ws):
    await ws.send(ws.subprotocol or "none")
    await ws.wait_closed()


def cork(ws, on):
    ws.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)


def process_request(ws, request):
    if request.path == "/refuse":
        response = ws.respond(401, "Not without a ticket.\n")
        response.headers["WWW-Authenticate"] = 'Bearer realm="interop"'
        return response
    if request.path == "/greet":
        cork(ws, True)
    return None


def select_subprotocol(ws, offered):
    return next((name for name in ("chat.v2", "chat.v1") if name in offered), None)


async def handle(ws):
    try:
        await BEHAVIOURS[urllib.parse.urlsplit(ws.request.path).path](ws)
    except ConnectionClosed:
        pass
    await ws.wait_closed()
    report(f"closed {ws.close_code} {ws.close_reason}")


async def main():
    # A refused handshake is what a test asked for.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    async with serve(
        handle,
        "127.0.0.1",
        0,
        max_size=64 << 20,
        ping_interval=None,
        process_request=process_request,
        select_subprotocol=select_subprotocol,
    ) as server:
        report(f"port {server.sockets[0].getsockname()[1]}")
        await server.serve_forever()


def end_with_standard_input():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=end_with_standard_input, daemon=True).start()
asyncio.run(main())
