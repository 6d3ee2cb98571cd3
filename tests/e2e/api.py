"""What a test asks of a server over HTTP, however it was started."""

from typing import Any, Final

import httpx

UNSET: Final = object()


class Api:
    """Calls at the ingress, registrations and statements at the admin API."""

    def __init__(self, ingress_url: str, admin_url: str) -> None:
        self.ingress_url = ingress_url
        self.admin_url = admin_url
        self.http = httpx.Client(timeout=60.0, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0))

    def register(self, uri: str, **options: Any) -> dict[str, Any]:
        """Register the deployment at `uri` and return the admin's answer; `options` go into the request body."""
        response = self.http.post(f"{self.admin_url}/deployments", json={"uri": uri, **options})
        assert response.status_code in (200, 201), f"registration: {response.status_code} {response.text}"
        return response.json()

    def call(self, path: str, body: Any = UNSET, *, headers: dict[str, str] | None = None, method: str = "POST") -> httpx.Response:
        """Send one request to the ingress and return whatever comes back. `body` is sent as JSON, bytes as they are."""
        if body is UNSET:
            return self.http.request(method, self.ingress_url + path, headers=headers)
        if isinstance(body, bytes):
            return self.http.request(method, self.ingress_url + path, content=body, headers=headers)
        return self.http.request(method, self.ingress_url + path, json=body, headers=headers)

    def result(self, path: str, body: Any = UNSET, *, headers: dict[str, str] | None = None, method: str = "POST") -> Any:
        """Return the JSON result of a call that must succeed."""
        response = self.call(path, body, headers=headers, method=method)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def send(self, path: str, body: Any = UNSET, *, headers: dict[str, str] | None = None) -> str:
        """Send one-way and return the invocation id; `path` is that of the call, with a query if wanted."""
        bare, _, query = path.partition("?")
        response = self.call(f"{bare}/send{'?' + query if query else ''}", body, headers=headers)
        assert response.status_code == 202, f"{path}: {response.status_code} {response.text}"
        return response.json()["invocationId"]

    def attach(self, invocation_id: str) -> httpx.Response:
        """Wait for an invocation's result by its id."""
        return self.call(f"/restate/attach/{invocation_id}", method="GET")

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Return what an SQL statement answers."""
        response = self.http.post(f"{self.admin_url}/query", json={"query": statement}, headers={"accept": "application/json"})
        assert response.status_code == 200, f"{statement}: {response.status_code} {response.text}"
        return response.json()["rows"]
