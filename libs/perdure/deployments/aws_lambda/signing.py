"""Credentials and signatures of AWS, with botocore: what it takes from the environment, roles that are assumed, SigV4.

Importing this takes 0.1 s and 18 MB, and everything in it may block: it is imported, and used, in threads only.
Source: shared/spec/service-protocol.md, section 2.8.
"""

import importlib
import threading
import time
from typing import Any, Final

# Any: botocore has no types.
_auth: Final[Any] = importlib.import_module("botocore.auth")
_awsrequest: Final[Any] = importlib.import_module("botocore.awsrequest")
_config: Final[Any] = importlib.import_module("botocore.config")
_credentials: Final[Any] = importlib.import_module("botocore.credentials")
_exceptions: Final[Any] = importlib.import_module("botocore.exceptions")
_session: Final[Any] = importlib.import_module("botocore.session")

SERVICE: Final = "lambda"
STS_CONNECT_S_MAX: Final = 5
STS_READ_S_MAX: Final = 10
STS_ATTEMPTS_MAX: Final = 2


class SigningFailed(Exception):
    """There are no credentials, or the role cannot be assumed. Stays inside this package."""


class Signer:
    """Signs calls of functions; for any number of threads.

    Args:
        external_id: Shown when a role is assumed; empty for none.
    """

    def __init__(self, *, external_id: str) -> None:
        self._external_id = external_id
        self._session: Any = _session.Session()  # Any: see above
        self._session_lock = threading.Lock()
        self._by_role: dict[tuple[str, str], Any] = {}

    def sign(self, url: str, body: bytes, *, region: str, role_arn: str | None) -> list[tuple[str, str]]:
        """Return the headers of a signed POST. Asks for credentials where there are none that are still good; blocks.

        Raises:
            SigningFailed: No credentials could be had.
        """
        try:
            credentials = self._provider(region, role_arn).get_frozen_credentials()
        except (_exceptions.BotoCoreError, _exceptions.ClientError) as error:
            role = f" of {role_arn}" if role_arn else ""
            raise SigningFailed(f"cannot get the AWS credentials{role}: {error}") from None
        request = _awsrequest.AWSRequest("POST", url, headers={"x-amz-invocation-type": "RequestResponse"}, data=body)
        _auth.SigV4Auth(credentials, SERVICE, region).add_auth(request)
        return [(name.lower(), value) for name, value in request.headers.items()]

    def _provider(self, region: str, role_arn: str | None) -> Any:  # Any: see above
        """Return what gives credentials: the environment's own, or those of a role, which refresh themselves."""
        with self._session_lock:
            own = self._session.get_credentials()
            if own is None:
                raise SigningFailed("there are no AWS credentials in the environment, in a profile, or from the machine")
            if role_arn is None:
                return own
            provider = self._by_role.get((region, role_arn))
            if provider is None:
                provider = self._by_role[region, role_arn] = self._assuming(own, region, role_arn)
            return provider

    def _assuming(self, own: Any, region: str, role_arn: str) -> Any:  # Any: see above
        def create_client(*args: Any, **kwargs: Any) -> Any:  # Any: see above
            config = _config.Config(
                connect_timeout=STS_CONNECT_S_MAX, read_timeout=STS_READ_S_MAX, retries={"total_max_attempts": STS_ATTEMPTS_MAX}
            )
            with self._session_lock:  # a session makes clients for one thread at a time
                return self._session.create_client(*args, region_name=region, config=config, **kwargs)

        extra = {"RoleSessionName": f"restate-{int(time.time())}"}
        if self._external_id:
            extra["ExternalId"] = self._external_id
        fetcher = _credentials.AssumeRoleCredentialFetcher(create_client, own, role_arn, extra_args=extra)
        return _credentials.DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
