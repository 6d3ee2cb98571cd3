"""URLs as logs and errors may show them."""

import re
from typing import Final

_USER: Final = re.compile("//[^/@,]*@")


def without_users(text: str) -> str:
    """Return a text with `***` in place of the user and password of every URL in it."""
    return _USER.sub("//***@", text)
