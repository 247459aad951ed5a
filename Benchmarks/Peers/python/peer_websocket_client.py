"""websocket-client: its plain, blocking connection on one thread, and its WebSocketApp on a thread beside the caller's.

hose, send, cycles, echo: --api blocking
hose, echo-blocking:      --api app (callbacks on a thread of their own; the caller waits on a queue)
"""

import os
import queue
import sys
import threading
import time

import websocket
from common import MODULUS, Run, hose_url, parse_arguments, payload, print_result, status_number

arguments = parse_arguments(["blocking", "app"])

# Its documentation's advice for speed: what makes a string of a text message validates it once more.
OPTIONS = {"enable_multithread": False, "skip_utf8_validation": True, "http_no_proxy": ["127.0.0.1"]}


def hose(count: int) -> Run:
    """Read messages in a loop."""
    connection = websocket.create_connection(hose_url(arguments, count), **OPTIONS)
    run = Run()
    text = arguments.kind == "text"
    checksum = 0
    for _ in range(count):
        message = connection.recv()
        run.bytes += len(message)
        checksum = (checksum * 31 + (ord(message[-1]) if text else message[-1])) % MODULUS
    run.messages, run.checksum = count, checksum
    run.stop()
    connection.close()
    return run


def app_hose(count: int) -> Run:
    """Take messages in a callback."""
    run = Run()
    text = arguments.kind == "text"

    def on_open(app: websocket.WebSocketApp) -> None:
        run.begin = time.perf_counter()

    def on_message(app: websocket.WebSocketApp, message: str | bytes) -> None:
        if isinstance(message, bytes) and text:
            message = message.decode()  # unvalidated, an app gets its text as bytes
        run.messages += 1
        run.bytes += len(message)
        run.checksum = (run.checksum * 31 + (ord(message[-1]) if text else message[-1])) % MODULUS
        if run.messages == count:
            run.stop()
            app.close()

    app = websocket.WebSocketApp(hose_url(arguments, count), on_open=on_open, on_message=on_message, on_error=fail)
    app.run_forever(skip_utf8_validation=True, http_no_proxy=["127.0.0.1"])
    return run


def fail(app: websocket.WebSocketApp, error: Exception) -> None:
    """End the process: an app would go on after an error in a callback."""
    print(f"websocket-client: {error!r}", file=sys.stderr)
    os._exit(1)


def send(count: int) -> Run:
    """Send; each call writes to the socket."""
    message = payload(arguments)
    connection = websocket.create_connection(f"{arguments.url}/sink", **OPTIONS)
    run = Run()
    for _ in range(count):
        connection.send_binary(message)
    connection.send("report")
    run.take_report(connection.recv())
    connection.close()
    return run


def echo(count: int) -> Run:
    """One message in flight, on the only thread."""
    message = payload(arguments)
    connection = websocket.create_connection(f"{arguments.url}/echo", **OPTIONS)
    for _ in range(arguments.warmup):
        connection.send_binary(message)
        connection.recv()
    samples = []
    run = Run()
    for _ in range(count):
        start = time.perf_counter()
        connection.send_binary(message)
        answer = connection.recv()
        samples.append(time.perf_counter() - start)
        assert answer == message
    run.take_samples(samples, arguments.size)
    connection.close()
    return run


def echo_blocking(count: int) -> Run:
    """Call from this thread; the answer comes through the thread that runs the app."""
    message = payload(arguments)
    answers = queue.SimpleQueue()
    opened = threading.Event()
    app = websocket.WebSocketApp(
        f"{arguments.url}/echo",
        on_open=lambda app: opened.set(),
        on_message=lambda app, message: answers.put(message),
        on_error=fail,
    )
    thread = threading.Thread(
        target=app.run_forever, kwargs={"skip_utf8_validation": True, "http_no_proxy": ["127.0.0.1"]}
    )
    thread.start()
    assert opened.wait(10), "the connection did not open"
    for _ in range(arguments.warmup):
        app.send_bytes(message)
        answers.get()
    samples = []
    run = Run()
    for _ in range(count):
        start = time.perf_counter()
        app.send_bytes(message)
        answer = answers.get()
        samples.append(time.perf_counter() - start)
        assert answer == message
    run.take_samples(samples, arguments.size)
    app.close()
    thread.join()
    return run


def cycles(count: int) -> Run:
    """Open and close, one connection after another."""
    run = Run()
    for _ in range(count):
        websocket.create_connection(f"{arguments.url}/idle", **OPTIONS).close()
        run.messages += 1
    return run.stop()


def idle(count: int) -> Run:
    """Hold connections that say nothing: sockets, with no thread and no loop behind them."""
    connections = [websocket.create_connection(f"{arguments.url}/idle", **OPTIONS)]
    before = status_number("VmRSS")
    run = Run()
    for _ in range(count):
        connections.append(websocket.create_connection(f"{arguments.url}/idle", **OPTIONS))
    run.stop().messages = count
    run.extra["kib_per_connection"] = round((status_number("VmRSS") - before) / count, 2)
    run.extra["threads_open"] = status_number("Threads")
    for connection in connections:
        connection.shutdown()
    return run


def main() -> None:
    """Run one workload, after its warm-up."""
    if arguments.api == "app":
        body = {"hose": app_hose, "echo-blocking": echo_blocking}[arguments.workload]
    else:
        body = {"hose": hose, "send": send, "echo": echo, "cycles": cycles, "idle": idle}[arguments.workload]
    if arguments.warmup and arguments.workload in ("hose", "send", "cycles"):
        body(arguments.warmup)
    print_result("websocket-client", websocket.__version__, arguments, body(arguments.count))


if __name__ == "__main__":
    main()
