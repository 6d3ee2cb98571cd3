"""A browser that a test drives: Chromium without a window, through the WebDriver protocol of chromedriver."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx

from tests.e2e.processes import end, eventually, is_listening, spawn
from tests.ports import free_ports

DRIVER: Final = shutil.which("chromedriver")
BROWSER: Final = shutil.which("chromium")
_FLAGS: Final = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"]
_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which the protocol names an element."""


class Browser:
    """One window. Elements are found by XPath; what is not there yet is waited for."""

    def __init__(self, directory: Path) -> None:
        assert DRIVER is not None
        port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] = spawn([DRIVER, f"--port={port}"], log=directory / "chromedriver.log", env={})
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        eventually(lambda: is_listening(port), "chromedriver listens")
        options = {"binary": BROWSER, "args": [*_FLAGS, f"--user-data-dir={directory / 'profile'}"]}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        self._session = self._http.post("/session", json=wanted).json()["value"]["sessionId"]

    def close(self) -> None:
        self._http.delete(f"/session/{self._session}")
        self._http.close()
        end(self._process)

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def click(self, xpath: str) -> None:
        """Click once it is there and can be clicked."""
        eventually(lambda: self._act(xpath, "click", {}), f"{xpath} is clicked")

    def write(self, xpath: str, text: str) -> None:
        """Replace what a field holds."""
        eventually(lambda: self._act(xpath, "clear", {}), f"{xpath} is cleared")
        eventually(lambda: self._act(xpath, "value", {"text": text}), f"{xpath} is written to")

    def wait_for(self, text: str, *, within: str = "//body") -> None:
        """Wait until a text is shown."""
        eventually(lambda: text in self.text(within), f"{text!r} is shown", limit_s=20)

    def text(self, xpath: str = "//body") -> str:
        """Return what is shown there, nothing where it is not."""
        element = self._find(xpath)
        return "" if element is None else self._value("GET", f"/element/{element}/text") or ""

    def accept(self) -> None:
        """Answer a question of the page with yes."""
        eventually(lambda: self._ask("POST", "/alert/accept", {}).status_code == 200, "the page asks")

    def run(self, script: str) -> Any:
        """Run a script in the page, which may await, and return what it returns."""
        body = {"script": f"return (async () => {{ {script} }})()", "args": []}
        return self._ask("POST", "/execute/sync", body).json()["value"]

    def _act(self, xpath: str, action: str, body: dict[str, Any]) -> bool:
        element = self._find(xpath)
        return element is not None and self._ask("POST", f"/element/{element}/{action}", body).status_code == 200

    def _find(self, xpath: str) -> str | None:
        found = self._ask("POST", "/element", {"using": "xpath", "value": xpath})
        return found.json()["value"][_ELEMENT] if found.status_code == 200 else None

    def _value(self, method: str, path: str) -> Any:
        answer = self._ask(method, path)
        return answer.json()["value"] if answer.status_code == 200 else None

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return self._http.request(method, f"/session/{self._session}{path}", json=body)
