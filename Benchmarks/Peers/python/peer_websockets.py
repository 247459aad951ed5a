"""The `websockets` package: its asyncio client (on asyncio's loop or on uvloop) and its threaded, synchronous client.

hose, deflate, send, echo, cycles, idle: --api asyncio | uvloop | sync (no echo: its reading thread is always there)
echo-blocking:                           --api asyncio | uvloop (run_coroutine_threadsafe) | sync
"""

import asyncio
import threading
import time
from contextlib import suppress

import websockets
from common import MODULUS, Run, hose_url, parse_arguments, payload, print_result, status_number
from websockets.asyncio.client import ClientConnection, connect
from websockets.sync.client import connect as connect_sync

arguments = parse_arguments(["asyncio", "uvloop", "sync"])

OPTIONS = {
    "compression": "deflate" if arguments.workload == "deflate" else None,
    "max_size": None,
    "proxy": None,
    "open_timeout": 60,
}


# MARK: asyncio


async def hose(count: int) -> Run:
    """Read messages as its documentation does."""
    async with connect(hose_url(arguments, count), **OPTIONS) as websocket:
        run = Run()
        checksum = 0
        if OPTIONS["compression"] or arguments.kind == "text":
            async for message in websocket:
                run.messages += 1
                run.bytes += len(message)
                checksum = (checksum * 31 + ord(message[-1])) % MODULUS
                if run.messages == count:
                    break
        else:
            async for message in websocket:
                run.messages += 1
                run.bytes += len(message)
                checksum = (checksum * 31 + message[-1]) % MODULUS
                if run.messages == count:
                    break
        run.checksum = checksum
        return run.stop()


async def send(count: int) -> Run:
    """Send without waiting for anything but room in the write buffer."""
    message = payload(arguments)
    async with connect(f"{arguments.url}/sink", **OPTIONS) as websocket:
        run = Run()
        for _ in range(count):
            await websocket.send(message)
        await websocket.send("report")
        return run.take_report(await websocket.recv())


async def echo(count: int) -> Run:
    """One message in flight, from a coroutine on the loop."""
    message = payload(arguments)
    async with connect(f"{arguments.url}/echo", **OPTIONS) as websocket:
        for _ in range(arguments.warmup):
            await websocket.send(message)
            await websocket.recv()
        samples = []
        run = Run()
        for _ in range(count):
            start = time.perf_counter()
            await websocket.send(message)
            answer = await websocket.recv()
            samples.append(time.perf_counter() - start)
            assert answer == message
        return run.take_samples(samples, arguments.size)


async def round_trip(websocket: ClientConnection, message: bytes) -> bytes:
    """Send, and wait for the answer."""
    await websocket.send(message)
    return await websocket.recv()


def echo_blocking(count: int, loop: asyncio.AbstractEventLoop) -> Run:
    """Call from this thread, which blocks, to a loop on a thread beside it."""
    message = payload(arguments)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def call(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    async def open_connection() -> ClientConnection:
        return await connect(f"{arguments.url}/echo", **OPTIONS)

    websocket = call(open_connection())
    for _ in range(arguments.warmup):
        call(round_trip(websocket, message))
    samples = []
    run = Run()
    for _ in range(count):
        start = time.perf_counter()
        answer = call(round_trip(websocket, message))
        samples.append(time.perf_counter() - start)
        assert answer == message
    run.take_samples(samples, arguments.size)
    call(websocket.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    return run


async def cycles(count: int) -> Run:
    """Open and close, one connection after another."""
    run = Run()
    for _ in range(count):
        async with connect(f"{arguments.url}/idle", **OPTIONS):
            run.messages += 1
    return run.stop()


async def idle(count: int) -> Run:
    """Hold connections that say nothing."""
    first = await connect(f"{arguments.url}/idle", **OPTIONS)
    before = status_number("VmRSS")
    run = Run()
    connections = [await connect(f"{arguments.url}/idle", **OPTIONS) for _ in range(count)]
    run.stop().messages = len(connections)
    await asyncio.sleep(0.5)
    run.extra["kib_per_connection"] = round((status_number("VmRSS") - before) / count, 2)
    run.extra["threads_open"] = status_number("Threads")
    for websocket in [first, *connections]:
        websocket.transport.abort()
    return run


# MARK: sync


def sync_hose(count: int) -> Run:
    """Read messages as its documentation does."""
    with connect_sync(hose_url(arguments, count), **OPTIONS) as websocket:
        run = Run()
        checksum = 0
        text = bool(OPTIONS["compression"]) or arguments.kind == "text"
        for message in websocket:
            run.messages += 1
            run.bytes += len(message)
            checksum = (checksum * 31 + (ord(message[-1]) if text else message[-1])) % MODULUS
            if run.messages == count:
                break
        run.checksum = checksum
        return run.stop()


def sync_send(count: int) -> Run:
    """Send; each call writes to the socket."""
    message = payload(arguments)
    with connect_sync(f"{arguments.url}/sink", **OPTIONS) as websocket:
        run = Run()
        for _ in range(count):
            websocket.send(message)
        websocket.send("report")
        return run.take_report(websocket.recv())


def sync_echo_blocking(count: int) -> Run:
    """One message in flight; the answer comes through the client's own reading thread."""
    message = payload(arguments)
    with connect_sync(f"{arguments.url}/echo", **OPTIONS) as websocket:
        for _ in range(arguments.warmup):
            websocket.send(message)
            websocket.recv()
        samples = []
        run = Run()
        for _ in range(count):
            start = time.perf_counter()
            websocket.send(message)
            answer = websocket.recv()
            samples.append(time.perf_counter() - start)
            assert answer == message
        return run.take_samples(samples, arguments.size)


def sync_cycles(count: int) -> Run:
    """Open and close, one connection after another."""
    run = Run()
    for _ in range(count):
        with connect_sync(f"{arguments.url}/idle", **OPTIONS):
            run.messages += 1
    return run.stop()


def sync_idle(count: int) -> Run:
    """Hold connections that say nothing, each with its threads."""
    options = OPTIONS | {"legacy": True}  # a connection at once, and no context manager
    first = connect_sync(f"{arguments.url}/idle", **options)
    before = status_number("VmRSS")
    run = Run()
    connections = [connect_sync(f"{arguments.url}/idle", **options) for _ in range(count)]
    run.stop().messages = len(connections)
    time.sleep(0.5)
    run.extra["kib_per_connection"] = round((status_number("VmRSS") - before) / count, 2)
    run.extra["threads_open"] = status_number("Threads")
    for websocket in [first, *connections]:
        with suppress(OSError):
            websocket.close()
    return run


# MARK: The command


async def run_async() -> Run:
    """Run one workload on the loop, after its warm-up."""
    body = {"hose": hose, "deflate": hose, "send": send, "echo": echo, "cycles": cycles, "idle": idle}[
        arguments.workload
    ]
    if arguments.warmup and arguments.workload not in ("echo", "idle"):
        await body(arguments.warmup)
    return await body(arguments.count)


def run_sync() -> Run:
    """Run one workload of the synchronous client, after its warm-up."""
    body = {
        "hose": sync_hose,
        "deflate": sync_hose,
        "send": sync_send,
        "echo-blocking": sync_echo_blocking,
        "cycles": sync_cycles,
        "idle": sync_idle,
    }[arguments.workload]
    if arguments.warmup and arguments.workload not in ("echo-blocking", "idle"):
        body(arguments.warmup)
    return body(arguments.count)


def main() -> None:
    """Choose the client."""
    if arguments.api == "sync":
        run = run_sync()
    else:
        if arguments.api == "uvloop":
            import uvloop

            factory = uvloop.new_event_loop
        else:
            factory = asyncio.new_event_loop
        if arguments.workload == "echo-blocking":
            run = echo_blocking(arguments.count, factory())
        else:
            with asyncio.Runner(loop_factory=factory) as runner:
                run = runner.run(run_async())
    print_result("websockets", websockets.__version__, arguments, run)


if __name__ == "__main__":
    main()
