"""Who is measured: one table. A row is a way to use a library, and what it can do."""

import json
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / ".build" / "bench"
PEERS = ROOT / "Benchmarks" / "Peers"

LIMIT, PEER, PRODUCT = "limit", "peer", "product"


@dataclass(frozen=True)
class Row:
    """One row of the tables: a command with an --api, and the workloads that it has."""

    title: str
    command: tuple[str, ...]
    api: str
    workloads: tuple[str, ...]
    role: str = PEER
    needs: str = ""  # the name in setup.sh's list
    quick: bool = True
    warmup: float = 0.1  # messages before the clock starts, as a share of those after it
    environment: tuple[tuple[str, str], ...] = ()

    def absence(self, listed: dict) -> str | None:
        """Say why this row cannot be measured here, if it cannot."""
        if self.needs and self.needs not in listed["present"]:
            return listed["absent"].get(self.needs, "not set up: run Benchmarks/Peers/setup.sh")
        program = Path(self.command[-1])
        if not program.exists():
            if self.role == PRODUCT:
                return "not built: make bench-quick does, and Benchmarks/README.md says how"
            return f"{program.name} is not there: run Benchmarks/Peers/setup.sh"
        return None


def _binary(name: str) -> tuple[str, ...]:
    return (str(BENCH / "bin" / name),)


def _python(name: str) -> tuple[str, ...]:
    return (str(BENCH / "venv" / "bin" / "python"), str(PEERS / "python" / f"{name}.py"))


_RAW = _binary("raw-c")
_BEAST = _binary("beast")
_GORILLA = _binary("gorilla")
_NIO = (str(BENCH / "swiftnio" / "release" / "NIOPeer"),)
_WEBSOCKETS = _python("peer_websockets")
_WEBSOCKET_CLIENT = _python("peer_websocket_client")
_NODE = ("node", str(PEERS / "node-ws" / "peer.js"))
_NODE_PATH = (("NODE_PATH", "/usr/share/nodejs"),)

# The product: Benchmarks/Sidecar, an executable of the package with the peers' command line and line of JSON.
_SIDECAR = (str(ROOT / ".build-static" / "release" / "sidecar-bench"),)

_MOST = ("hose", "send", "echo", "cycles", "idle")

ROWS = [
    # What can be had at all.
    Row("raw C, count only", _RAW, "count", ("hose",), LIMIT, "raw-c"),
    Row("raw C, copy", _RAW, "copy", ("hose",), LIMIT, "raw-c"),
    Row("raw C, hand over to a second thread", _RAW, "handover", ("hose",), LIMIT, "raw-c"),
    Row("zlib's inflate alone", _RAW, "inflate", ("deflate",), LIMIT, "raw-c"),
    Row("raw C, read and inflate", _RAW, "read", ("deflate",), LIMIT, "raw-c"),
    Row("raw C, read, inflate and copy", _RAW, "copy", ("deflate",), LIMIT, "raw-c"),
    Row("raw C, batched writes", _RAW, "batched", ("send",), LIMIT, "raw-c"),
    Row("raw C, one write each", _RAW, "direct", ("send",), LIMIT, "raw-c"),
    Row("raw C, epoll", _RAW, "loop", ("echo", "cycles"), LIMIT, "raw-c"),
    Row("raw C, two threads, direct writes", _RAW, "direct", ("echo-blocking",), LIMIT, "raw-c"),
    Row("raw C, two threads, both ways handed over", _RAW, "handover", ("echo-blocking",), LIMIT, "raw-c"),
    # The product. Its rows appear as soon as its executable is built.
    Row("Sidecar, handler", _SIDECAR, "handler", ("hose", "deflate", "echo"), PRODUCT),
    Row("Sidecar, inbound", _SIDECAR, "inbound", ("hose", "deflate", "send", "echo"), PRODUCT),
    Row("Sidecar, messages", _SIDECAR, "messages", ("hose", "deflate"), PRODUCT),
    Row("Sidecar, blocking", _SIDECAR, "blocking", ("hose", "deflate", "send", "echo-blocking"), PRODUCT),
    Row("Sidecar, a thread each", _SIDECAR, "own-thread", ("cycles", "idle"), PRODUCT),
    Row("Sidecar, one thread for all", _SIDECAR, "shared-thread", ("cycles", "idle", "crowd"), PRODUCT),
    # The field.
    Row("SwiftNIO, handler", _NIO, "handler", (*_MOST, "echo-blocking"), needs="swiftnio"),
    Row("SwiftNIO, NIOAsyncChannel", _NIO, "async", (*_MOST, "echo-blocking"), needs="swiftnio"),
    Row("Boost.Beast, blocking", _BEAST, "sync", ("hose", "deflate", "send", "echo", "cycles"), needs="beast"),
    Row("Boost.Beast, asynchronous", _BEAST, "async", (*_MOST, "deflate", "echo-blocking"), needs="beast"),
    Row(
        "libwebsockets",
        _binary("libwebsockets"),
        "callback",
        (*_MOST, "deflate", "echo-blocking"),
        needs="libwebsockets",
    ),
    Row("gorilla (Go), NextReader", _GORILLA, "reader", (*_MOST, "deflate", "echo-blocking"), needs="gorilla"),
    Row("gorilla (Go), ReadMessage", _GORILLA, "message", ("hose", "deflate"), needs="gorilla", quick=False),
    Row(
        "ws (Node)",
        _NODE,
        "events",
        (*_MOST, "deflate"),
        needs="node-ws",
        warmup=1.5,  # its compiler works while it runs
        environment=_NODE_PATH,
    ),
    Row(
        "picows (uvloop)",
        _python("peer_picows"),
        "listener",
        (*_MOST, "deflate", "echo-blocking"),
        needs="picows",
    ),
    Row("websockets, asyncio", _WEBSOCKETS, "asyncio", (*_MOST, "deflate", "echo-blocking"), needs="websockets"),
    Row(
        "websockets, uvloop",
        _WEBSOCKETS,
        "uvloop",
        (*_MOST, "deflate", "echo-blocking"),
        needs="websockets",
        quick=False,
    ),
    Row(
        "websockets, sync",
        _WEBSOCKETS,
        "sync",
        ("hose", "deflate", "send", "echo-blocking", "cycles", "idle"),
        needs="websockets",
    ),
    Row(
        "websocket-client",
        _WEBSOCKET_CLIENT,
        "blocking",
        _MOST,
        needs="websocket-client",
        quick=False,
    ),
    Row(
        "websocket-client, app",
        _WEBSOCKET_CLIENT,
        "app",
        ("hose", "echo-blocking"),
        needs="websocket-client",
        quick=False,
    ),
    # In the table so that it is listed where it is absent, and not left out in silence.
    Row("IXWebSocket", _binary("ixwebsocket"), "callback", ("hose",), needs="ixwebsocket"),
]


def listed_peers() -> dict:
    """Read what setup.sh found."""
    path = BENCH / "peers.json"
    if not path.exists():
        return {"present": [], "absent": {}}
    return json.loads(path.read_text())
