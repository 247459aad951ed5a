"""The sidecar pattern as it is known from Python: what this project comes from, and what its exit is measured against.

An asyncio loop runs on a thread beside the main one. A listener coroutine on it reads a WebSocket and puts messages in a
queue; the main thread has a synchronous API. The exit protocol has four steps, as they are usually written:

  1. say that no more messages are wanted, with a flag, which the listener looks at when a message arrives;
  2. wait for the WebSocket to be closed, in a loop that sleeps ten seconds a turn, for one minute at most;
  3. cancel every pending task, and stop the loop, from the thread that exits;
  4. join the loop's thread, for a few seconds at most.
"""

import asyncio
import logging
import queue
import threading
import time

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

logger = logging.getLogger("sidecar-pattern")


class PatternClient:
    """A WebSocket client whose loop runs on a thread of its own, and whose methods block."""

    def __init__(self, url: str, turn: float = 10.0, longest: float = 60.0, join: float = 5.0) -> None:
        """Start the thread and the listener. `turn` and `longest` bound step 2 of the exit, `join` step 4; in seconds."""
        self.url = url
        self.turn, self.longest, self.join = turn, longest, join
        self.inbox: queue.Queue[str | bytes] = queue.Queue()
        self.opened = threading.Event()
        self.closing = False
        self.closed = False
        self.error: Exception | None = None
        self.websocket: ClientConnection | None = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # On the loop's thread

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.create_task(self._listen())
        self.loop.run_forever()

    async def _listen(self) -> None:
        try:
            async with connect(self.url, proxy=None) as websocket:
                self.websocket = websocket
                self.opened.set()
                async for message in websocket:
                    if self.closing:
                        break
                    self.inbox.put(message)
        except (OSError, TimeoutError, ConnectionClosed) as error:
            self.error = error  # whoever calls next may look at it
        self.closed = True

    # On the main thread

    def receive(self) -> str | bytes:
        """Wait for a message."""
        return self.inbox.get()

    def send(self, message: str | bytes) -> None:
        """Send, and wait until it is written."""
        asyncio.run_coroutine_threadsafe(self.websocket.send(message), self.loop).result()

    def exit(self) -> bool:
        """Run the four steps, and say whether the thread has ended."""
        self.closing = True

        waited = 0.0
        while not self.closed and waited < self.longest:
            time.sleep(self.turn)
            waited += self.turn
            logger.info("waiting for the WebSocket to close: %.0f s", waited)

        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        # Calling loop.stop() itself from here is seen too, but would not even wake a loop that waits for its sockets.
        self.loop.call_soon_threadsafe(self.loop.stop)

        self.thread.join(self.join)
        if self.thread.is_alive() or not self.closed:
            logger.warning("Unable to clear up sidecar")
        return not self.thread.is_alive()
