"""Reads cases from standard input and answers what two independent parsers make of them.

A case is the role, what was agreed on, the limit, how the bytes are cut, and the bytes. The answer holds a list of events
for each parser: wsproto's and websockets'. All numbers are little-endian but those inside events, which are as on the
wire. See SidecarDifferentialTests.swift for the other side.
"""

import logging
import struct
import sys
import zlib

from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.frames import Opcode
from websockets.protocol import CLIENT, SERVER, Protocol
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

# FINAL_BLOCK is no event of the conversation: Python's inflater has met a block that says it is the last.
TEXT, BINARY, CLOSE, PING, PONG, FINAL_BLOCK, CRASH, VIOLATION = 1, 2, 8, 9, 10, 253, 254, 255


class Inflater:
    """zlib's, and a note of whether one has met a block that says it is the last."""

    saw_final_block = False
    make = zlib.decompressobj

    def __init__(self, *arguments, **options):
        self.inner = Inflater.make(*arguments, **options)

    def decompress(self, *arguments):
        try:
            return self.inner.decompress(*arguments)
        finally:
            Inflater.saw_final_block |= self.inner.eof

    def __getattr__(self, name):
        return getattr(self.inner, name)


zlib.decompressobj = Inflater


class Case:
    def __init__(self, data):
        flags, server_bits, client_bits, self.limit, count = struct.unpack_from("<BBBII", data)
        self.is_server = bool(flags & 1)
        self.has_deflate = bool(flags & 2)
        self.server_no_context = bool(flags & 4)
        self.client_no_context = bool(flags & 8)
        # zlib has no compressor for 2^8: who agrees on it uses 2^9, and a receiver has to take that.
        self.server_bits = max(9, server_bits)
        self.client_bits = max(9, client_bits)
        offset = 11
        sizes = struct.unpack_from(f"<{count}I", data, offset)
        offset += 4 * count
        self.pieces = []
        for size in sizes:
            self.pieces.append(bytes(data[offset : offset + size]))
            offset += size


class Events:
    def __init__(self):
        self.data = bytearray()

    def add(self, kind, payload=b""):
        self.data += struct.pack("<BI", kind, len(payload))
        self.data += payload


def run_wsproto(case, events):
    extensions = []
    if case.has_deflate:
        deflate = WsprotoDeflate(
            client_no_context_takeover=case.client_no_context,
            client_max_window_bits=case.client_bits,
            server_no_context_takeover=case.server_no_context,
            server_max_window_bits=case.server_bits,
        )
        deflate._enabled = True
        extensions = [deflate]
    role = ConnectionType.SERVER if case.is_server else ConnectionType.CLIENT
    connection = Connection(role, extensions)
    parts = []
    for piece in case.pieces:
        connection.receive_data(piece)
        for event in connection.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                data = event.data
                is_text = isinstance(event, TextMessage)
                parts.append(data.encode() if is_text else bytes(data))
                if event.message_finished:
                    events.add(TEXT if is_text else BINARY, b"".join(parts))
                    parts = []
            elif isinstance(event, Ping):
                events.add(PING, event.payload)
            elif isinstance(event, Pong):
                events.add(PONG, event.payload)
            elif isinstance(event, CloseConnection):
                # A Close frame changes the state, a violation does not.
                if connection.state is ConnectionState.OPEN:
                    events.add(VIOLATION, struct.pack("!H", int(event.code)))
                elif int(event.code) == 1005:
                    events.add(CLOSE)
                else:
                    events.add(CLOSE, struct.pack("!H", int(event.code)) + (event.reason or "").encode())
                return


def run_websockets(case, events):
    protocol = Protocol(SERVER if case.is_server else CLIENT, max_size=case.limit)
    if case.has_deflate:
        ours = (case.server_no_context, case.server_bits)
        theirs = (case.client_no_context, case.client_bits)
        local, remote = (ours, theirs) if case.is_server else (theirs, ours)
        protocol.extensions = [WebsocketsDeflate(remote[0], local[0], remote[1], local[1])]
    parts, is_text = [], False
    for piece in case.pieces:
        protocol.receive_data(piece)
        for frame in protocol.events_received():
            if frame.opcode is Opcode.PING:
                events.add(PING, bytes(frame.data))
            elif frame.opcode is Opcode.PONG:
                events.add(PONG, bytes(frame.data))
            elif frame.opcode is Opcode.CLOSE:
                events.add(CLOSE, bytes(frame.data))
                return
            else:
                if frame.opcode is not Opcode.CONT:
                    is_text = frame.opcode is Opcode.TEXT
                parts.append(bytes(frame.data))
                if frame.fin:
                    message = b"".join(parts)
                    parts = []
                    if is_text:
                        # What its connection does with a message, one layer above.
                        try:
                            message.decode()
                        except UnicodeDecodeError:
                            events.add(VIOLATION, struct.pack("!H", 1007))
                            return
                    events.add(TEXT if is_text else BINARY, message)
        if protocol.parser_exc is not None:
            code = protocol.close_sent.code if protocol.close_sent else 1006
            events.add(VIOLATION, struct.pack("!H", code))
            return


def run(parser, case):
    events = Events()
    Inflater.saw_final_block = False
    try:
        parser(case, events)
    except Exception as error:  # A parser that fails in a way of its own is something to look at.
        events.add(CRASH, f"{type(error).__name__}: {error}".encode()[:500])
    if Inflater.saw_final_block:
        events.add(FINAL_BLOCK)
    return events.data


def main():
    logging.disable(logging.CRITICAL)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while True:
        header = source.read(4)
        if len(header) < 4:
            return
        case = Case(source.read(struct.unpack("<I", header)[0]))
        for parser in (run_wsproto, run_websockets):
            data = run(parser, case)
            sink.write(struct.pack("<I", len(data)))
            sink.write(data)
        sink.flush()


main()
