"""Fixed-width base62 of byte-reversed integers, as resource ids carry it.

The number's bytes are reversed before plain base 62, most significant digit first, left-padded with `0`.
Source: shared/spec/lifecycle.md, section 1.2.
"""

from typing import Final

ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
WIDTH_BY_BYTES: Final = {8: 11, 16: 22}
_PAIRS: Final = [a + b for a in ALPHABET for b in ALPHABET]
_VALUE_BY_DIGIT: Final = {digit: value for value, digit in enumerate(ALPHABET)}


def encode(raw: bytes) -> str:
    """Return the text of 8 or 16 big-endian bytes (11 or 22 characters)."""
    width = WIDTH_BY_BYTES[len(raw)]
    number = int.from_bytes(raw, "little")
    pairs: list[str] = []
    for _ in range(width // 2):
        number, rest = divmod(number, 3844)
        pairs.append(_PAIRS[rest])
    head = ALPHABET[number] if width % 2 else ""
    return head + "".join(reversed(pairs))


def decode(text: str, size: int) -> bytes:
    """Return the `size` big-endian bytes that `encode` made `text` from.

    Raises:
        ValueError: A character outside the alphabet, or a number that does not fit.
    """
    number = 0
    for digit in text:
        value = _VALUE_BY_DIGIT.get(digit)
        if value is None:
            raise ValueError("base62 decode error")
        number = number * 62 + value
    try:
        return number.to_bytes(size, "little")
    except OverflowError:
        raise ValueError("base62 decode error") from None
