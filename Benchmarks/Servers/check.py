#!/usr/bin/env python3
"""Check that bench-server serves what its comments say, with a small client of its own over plain sockets.

Usage: check.py path/to/bench-server
"""

import base64
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import payload  # noqa: E402

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Client:
    """One connection: frames out, frames in."""

    def __init__(self, port: int, target: str, extra: str = "", status: int = 101) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.stream = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
        )
        self.socket.sendall(request.encode())
        self.status = int(self.stream.readline().split()[1])
        assert self.status == status, f"{target}: {self.status}"
        self.fields = {}
        while line := self.stream.readline().strip():
            name, value = line.decode().split(": ", 1)
            self.fields[name.lower()] = value
        if status == 101:
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            assert self.fields["sec-websocket-accept"] == base64.b64encode(digest).decode()

    def send(self, first: int, data: bytes = b"", masked: bool = True) -> None:
        """Send one frame whose first byte is `first`."""
        size = len(data)
        flag = 0x80 if masked else 0
        if size < 126:
            header = bytes([first, flag | size])
        elif size < 65536:
            header = struct.pack("!BBH", first, flag | 126, size)
        else:
            header = struct.pack("!BBQ", first, flag | 127, size)
        if not masked:
            self.socket.sendall(header + data)
            return
        mask = os.urandom(4)
        stretched = (mask * (size // 4 + 1))[:size]
        body = (int.from_bytes(data, "big") ^ int.from_bytes(stretched, "big")).to_bytes(size, "big")
        self.socket.sendall(header + mask + body)

    def receive(self) -> tuple[int, bytes]:
        """Read one frame: its first byte, and its payload."""
        first, second = self.stream.read(2)
        assert not second & 0x80, "a server does not mask"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.stream.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.stream.read(8))
        return first, self.stream.read(size)

    def close(self, expected: bytes | None = struct.pack("!H", 1000)) -> bytes:
        """Close, and check that the server answers and ends the stream."""
        self.send(0x80 | CLOSE, struct.pack("!H", 1000))
        while True:
            first, data = self.receive()
            if first == 0x80 | CLOSE:
                break
        assert expected is None or data == expected, data
        assert self.stream.read() == b""
        self.socket.close()
        return data


def check_hose(port: int) -> None:
    """Check every byte of plain hoses of all shapes: rings of many frames, of 16, and of one."""
    for size, count in (
        (1, 40_000),
        (16, 100_003),
        (125, 5000),
        (126, 5000),
        (1024, 3001),
        (16384, 99),
        (65535, 50),
        (65536, 50),
        (1 << 20, 35),
    ):
        expected = [payload.binary(index, size) for index in range(payload.MARKERS)]
        client = Client(port, f"/hose?size={size}&count={count}&kind=binary")
        total = 0
        for index in range(count):
            first, data = client.receive()
            assert first == 0x80 | BINARY
            assert data == expected[index % payload.MARKERS], (size, index)
            total = (total * payload.FACTOR + data[-1]) % payload.MODULUS
        assert total == payload.hose_checksum(count)
        client.close()
    client = Client(port, "/hose?size=16&count=5&close=1")
    assert [client.receive()[0] & 0xF for _ in range(6)] == [BINARY] * 5 + [CLOSE]
    client.send(0x80 | CLOSE, struct.pack("!H", 1000))
    assert client.stream.read() == b""


def check_endless(port: int) -> None:
    """Check that an endless hose answers Ping and Close between frames."""
    client = Client(port, "/hose?size=1000000")
    client.receive()
    client.send(0x80 | PING, b"now")
    while client.receive() != (0x80 | PONG, b"now"):
        pass
    client.close()


def check_text_and_deflate(port: int) -> None:
    """Check that text is ASCII that repeats after 16 messages, and that the compressed hose is the same text."""
    for size in (16, 128, 1024, 16384, 1 << 20):
        count = 33
        client = Client(port, f"/hose?size={size}&count={count}&kind=text")
        texts = []
        for index in range(count):
            first, data = client.receive()
            assert first == 0x80 | TEXT and data.isascii() and len(data) == size and data[-1] == payload.marker(index)
            assert size >= 65536 or index < 16 or data == texts[index - 16]
            texts.append(data)
        client.close()
        for offer in ("permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=10"):
            target = f"/hose?size={size}&count={count}&kind=text&deflate=1"
            client = Client(port, target, f"Sec-WebSocket-Extensions: {offer}\r\n")
            assert "server_no_context_takeover" in client.fields["sec-websocket-extensions"]
            wire = 0
            for index in range(count):
                first, data = client.receive()
                assert first == 0xC0 | TEXT
                wire += len(data)
                text = zlib.decompressobj(-15).decompress(data + b"\x00\x00\xff\xff")
                assert len(text) == size and text[-1] == payload.marker(index)
                assert size >= 65536 or text == texts[index]
            client.close()
        print(f"  text of {size} B compresses to {wire / count / size:.2f}")
    Client(port, "/hose?deflate=1", status=400)


def check_sink(port: int) -> None:
    """Check the sink's counts, over fragments and control frames in between."""
    client = Client(port, "/sink")
    body = b"x" * 127 + b"a"
    for _ in range(1000):
        client.send(0x80 | BINARY, body)
    client.send(BINARY, b"x" * 100_000)
    client.send(0x80 | PING, b"p")
    client.send(0x80, b"y" * 27 + b"a")
    client.send(0x80 | TEXT, b"report")
    assert client.receive() == (0x80 | PONG, b"p")
    _, report = client.receive()
    expected = {"messages": 1001, "bytes": 128_000 + 100_028, "checksum": payload.sent_checksum(1001)}
    assert json.loads(report) == expected, report
    assert json.loads(client.close(expected=None)[2:]) == expected
    for broken in (
        lambda c: c.send(0x80 | BINARY, b"not masked", masked=False),
        lambda c: c.send(0xC0 | BINARY, b"RSV1"),
        lambda c: c.send(0x83, b"reserved opcode"),
        lambda c: c.send(0x80, b"continues nothing"),
        lambda c: c.send(PING, b"a fragmented Ping"),
    ):
        client = Client(port, "/sink")
        broken(client)
        assert client.receive() == (0x80 | CLOSE, struct.pack("!H", 1002))
        client.socket.close()


def check_echo(port: int) -> None:
    """Check that messages of any size come back as they went."""
    client = Client(port, "/echo")
    for size in (0, 1, 125, 126, 65535, 65536, 300_000):
        data = os.urandom(size)
        client.send(0x80 | BINARY, data)
        assert client.receive() == (0x80 | BINARY, data)
    client.send(TEXT, b"one ")
    client.send(0x80 | PING, b"?")
    client.send(0x80, b"two")
    assert [client.receive() for _ in range(3)] == [(TEXT, b"one "), (0x80 | PONG, b"?"), (0x80, b"two")]
    client.close()


def check_quiet(port: int) -> None:
    """Check the modes that say little: idle, tick and stall."""
    idle = [Client(port, "/idle") for _ in range(300)]
    stall = Client(port, "/stall")
    stall.send(0x80 | PING, b"anyone?")
    for client in idle:
        client.send(0x80 | PING, b"there?")
        assert client.receive() == (0x80 | PONG, b"there?")
        client.close()
    client = Client(port, "/tick?every=20&size=16")
    start = time.monotonic()
    for index in range(5):
        assert client.receive() == (0x80 | BINARY, payload.binary(index, 16))
    assert 0.08 < time.monotonic() - start < 1
    client.close()
    stall.socket.settimeout(0.2)
    try:
        stall.receive()
        raise AssertionError("a stalled connection answered")
    except TimeoutError:
        pass


def main() -> None:
    """Start the server, and check mode after mode."""
    server = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        for check in (check_hose, check_endless, check_text_and_deflate, check_sink, check_echo, check_quiet):
            check(port)
            print(f"{check.__name__}: ok")
        time.sleep(0.1)
        assert Client(port, "/nowhere", status=404).status == 404
        plain = socket.create_connection(("127.0.0.1", port))
        plain.sendall(b"GET /stats HTTP/1.1\r\n\r\n")
        print("stats:", plain.makefile().read().splitlines()[-1])
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
