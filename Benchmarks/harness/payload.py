"""What the server's messages hold, stated a second time: the rule is in Servers/payload.h.

Every run's checksum is compared with the one computed here, so that no client is fast because it lost something.
"""

MARKERS = 16
FACTOR = 31
MODULUS = 2**32


def marker(index: int) -> int:
    """Give the last byte of message `index`."""
    return ord("a") + index % MARKERS


def binary(index: int, size: int) -> bytes:
    """Make the payload of binary message `index`."""
    turn = index % MARKERS if size < 64 * 1024 else 0
    return bytes((7 * j + turn) % 256 for j in range(size - 1)) + bytes([marker(index)])


def _then(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """Compose two maps x -> a x + b, the first one first."""
    return first[0] * second[0] % MODULUS, (first[1] * second[0] + second[1]) % MODULUS


def _repeated(step: tuple[int, int], times: int) -> tuple[int, int]:
    result = (1, 0)
    while times:
        if times & 1:
            result = _then(result, step)
        step = _then(step, step)
        times >>= 1
    return result


def checksum_of(markers: list[int], count: int) -> int:
    """Fold `count` markers, taken from `markers` in a circle: sum = 31 sum + marker, from 0."""
    once = (1, 0)
    for value in markers:
        once = _then(once, (FACTOR, value))
    whole = _repeated(once, count // len(markers))
    for value in markers[: count % len(markers)]:
        whole = _then(whole, (FACTOR, value))
    return whole[1]


def hose_checksum(count: int) -> int:
    """Give the checksum of the first `count` messages of a fire-hose."""
    return checksum_of([marker(index) for index in range(MARKERS)], count)


def sent_checksum(count: int) -> int:
    """Give the sink's checksum of `count` messages that clients send: all end in 'a'."""
    return checksum_of([ord("a")], count)
