"""picows: frames are handled in a listener's callback, on uvloop as its documentation advises.

hose, send, echo, cycles, idle: --api listener
deflate:                        --api listener, which means its `websockets`-compatible layer here: frames are not inflated
echo-blocking:                  --api listener (call_soon_threadsafe, and a queue back)
"""

import asyncio
import os
import queue
import threading
import time
from importlib.metadata import version

import uvloop
from common import MODULUS, Run, hose_url, parse_arguments, payload, print_result, status_number
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

arguments = parse_arguments(["listener"])

MAX_FRAME = 128 * 1024 * 1024


async def open_listener(path: str, listener: WSListener, **options) -> WSTransport:
    """Connect, and leave what arrives to the listener."""
    transport, _ = await ws_connect(lambda: listener, path, max_frame_size=MAX_FRAME, **options)
    return transport


async def close(transport: WSTransport) -> None:
    """Say Close, and wait for the end."""
    transport.send_close(WSCloseCode.OK)
    await transport.wait_disconnected()


class Done(WSListener):
    """A listener whose owner waits for `done`."""

    def __init__(self) -> None:
        self.done = asyncio.get_running_loop().create_future()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server ended the stream"))
            self.done.exception()


# MARK: The fire-hose


class BinaryHose(Done):
    """Looks into each payload where it was read."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.run = None
        self.left = count
        self.bytes = 0
        self.checksum = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.run = Run()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_memoryview()
        self.bytes += len(payload)
        self.checksum = (self.checksum * 31 + payload[-1]) % MODULUS
        self.left -= 1
        if self.left == 0:
            self.run.stop()
            self.done.set_result(None)


class TextHose(BinaryHose):
    """Makes each payload a string."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        text = frame.get_payload_as_utf8_text()
        self.bytes += len(text)
        self.checksum = (self.checksum * 31 + ord(text[-1])) % MODULUS
        self.left -= 1
        if self.left == 0:
            self.run.stop()
            self.done.set_result(None)


async def hose(count: int) -> Run:
    """Let frames come until all are there."""
    listener = (TextHose if arguments.kind == "text" else BinaryHose)(count)
    transport = await open_listener(hose_url(arguments, count), listener, read_buffer_init_size=64 * 1024)
    await listener.done
    run = listener.run
    run.messages, run.bytes, run.checksum = count, listener.bytes, listener.checksum
    transport.disconnect()
    return run


async def deflate(count: int) -> Run:
    """Read through the layer that inflates."""
    from picows.websockets.asyncio.client import connect

    async with connect(hose_url(arguments, count), compression="deflate", max_size=None) as websocket:
        run = Run()
        async for message in websocket:
            run.messages += 1
            run.bytes += len(message)
            run.checksum = (run.checksum * 31 + ord(message[-1])) % MODULUS
            if run.messages == count:
                break
        return run.stop()


# MARK: Sends


class Sender(Done):
    """Stops when the write buffer is full, goes on when it is empty again, and takes the report."""

    def __init__(self) -> None:
        super().__init__()
        self.writable = asyncio.Event()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.done.set_result(frame.get_payload_as_utf8_text())


async def send(count: int) -> Run:
    """Send as fast as the write buffer allows."""
    message = payload(arguments)
    listener = Sender()
    transport = await open_listener(f"{arguments.url}/sink", listener)
    run = Run()
    for _ in range(count):
        if not listener.writable.is_set():
            await listener.writable.wait()
        transport.send(WSMsgType.BINARY, message)
    transport.send(WSMsgType.TEXT, b"report")
    run.take_report(await listener.done)
    await close(transport)
    return run


# MARK: Round trips


class Echo(Done):
    """Sends the next message from the callback that took the last."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.message = payload(arguments)
        self.warmup = arguments.warmup
        self.count = count
        self.samples = []
        self.run = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.run = Run()
        self.start = time.perf_counter()
        transport.send(WSMsgType.BINARY, self.message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.BINARY:
            return
        sample = time.perf_counter() - self.start
        assert frame.get_payload_as_memoryview() == self.message
        if self.warmup:
            self.warmup -= 1
            if self.warmup == 0:
                self.run = Run()
        else:
            self.samples.append(sample)
        if len(self.samples) < self.count:
            self.start = time.perf_counter()
            transport.send(WSMsgType.BINARY, self.message)
        else:
            self.run.take_samples(self.samples, arguments.size)
            self.done.set_result(None)


async def echo(count: int) -> Run:
    """One message in flight, from the callback."""
    listener = Echo(count)
    transport = await open_listener(f"{arguments.url}/echo", listener)
    await listener.done
    await close(transport)
    return listener.run


class Mailbox(WSListener):
    """Puts answers where another thread waits for them."""

    def __init__(self) -> None:
        self.answers = queue.SimpleQueue()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            self.answers.put(frame.get_payload_as_bytes())


def echo_blocking(count: int) -> Run:
    """Call from this thread, which blocks, to a loop on a thread beside it."""
    message = payload(arguments)
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listener = Mailbox()
    transport = asyncio.run_coroutine_threadsafe(open_listener(f"{arguments.url}/echo", listener), loop).result()

    def round_trip() -> bytes:
        loop.call_soon_threadsafe(transport.send, WSMsgType.BINARY, message)
        return listener.answers.get()

    for _ in range(arguments.warmup):
        round_trip()
    samples = []
    run = Run()
    for _ in range(count):
        start = time.perf_counter()
        answer = round_trip()
        samples.append(time.perf_counter() - start)
        assert answer == message
    run.take_samples(samples, arguments.size)
    asyncio.run_coroutine_threadsafe(close(transport), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    return run


# MARK: Connections


async def cycles(count: int) -> Run:
    """Open and close, one connection after another."""
    run = Run()
    for _ in range(count):
        transport = await open_listener(f"{arguments.url}/idle", WSListener())
        await close(transport)
        run.messages += 1
    return run.stop()


async def idle(count: int) -> Run:
    """Hold connections that say nothing."""
    connections = [await open_listener(f"{arguments.url}/idle", WSListener())]
    before = status_number("VmRSS")
    run = Run()
    for _ in range(count):
        connections.append(await open_listener(f"{arguments.url}/idle", WSListener()))
    run.stop().messages = count
    await asyncio.sleep(0.5)
    run.extra["kib_per_connection"] = round((status_number("VmRSS") - before) / count, 2)
    run.extra["threads_open"] = status_number("Threads")
    for transport in connections:
        transport.disconnect()
    return run


async def run_workload() -> Run:
    """Run one workload on the loop, after its warm-up."""
    body = {"hose": hose, "deflate": deflate, "send": send, "echo": echo, "cycles": cycles, "idle": idle}[
        arguments.workload
    ]
    if arguments.warmup and arguments.workload not in ("echo", "idle"):
        await body(arguments.warmup)
    return await body(arguments.count)


def main() -> None:
    """Run on uvloop."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ.pop(name, None)
    if arguments.workload == "echo-blocking":
        run = echo_blocking(arguments.count)
    else:
        run = uvloop.run(run_workload())
    print_result("picows", version("picows"), arguments, run)


if __name__ == "__main__":
    main()
