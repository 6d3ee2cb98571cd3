"""Names of Lambda functions, and where the service is that calls them. Pure.

Source: shared/spec/service-protocol.md, section 2.8.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

QUALIFIED_COMPONENTS: Final = 8

_DNS_SUFFIXES: Final = {
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
}
_DNS_SUFFIX: Final = "amazonaws.com"

_ENDPOINT_VARIABLES: Final = ("AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL")


class FunctionArn(msgspec.Struct, frozen=True):
    """The name of a version or alias of a function: `arn:<partition>:lambda:<region>:<account>:function:<name>:<qualifier>`."""

    text: str
    partition: str
    region: str

    @property
    def invocation_path(self) -> str:
        """Return the path of the call in the API of Lambda."""
        return f"/2015-03-31/functions/{quote(self.text, safe='')}/invocations"

    def endpoint(self, environ: Mapping[str, str]) -> str:
        """Return the URL of Lambda in the function's region, or what the environment says instead; without a trailing slash."""
        override = next((environ[name] for name in _ENDPOINT_VARIABLES if environ.get(name)), None)
        if override is not None:
            return override.rstrip("/")
        return f"https://lambda.{self.region}.{_DNS_SUFFIXES.get(self.partition, _DNS_SUFFIX)}"


def parse_function_arn(text: str) -> FunctionArn:
    """Read the qualified ARN of a function.

    Raises:
        ValueError: It is none; the message is a sentence for users.
    """
    components = text.split(":")
    if len(components) == QUALIFIED_COMPONENTS - 1:
        raise ValueError("A version or an alias must follow the function's name in the ARN; `:$LATEST` is the unpublished version")
    if len(components) != QUALIFIED_COMPONENTS:
        raise ValueError(f"A qualified ARN must have {QUALIFIED_COMPONENTS} components delimited by `:`")
    prefix, partition, service, region, _account, kind, _name, _qualifier = components
    if prefix != "arn":
        raise ValueError("An ARN must begin with `arn:`")
    if service != "lambda" or kind != "function":
        raise ValueError("The ARN must be that of a `lambda` `function`")
    if not all(components):
        raise ValueError("No component of the ARN may be empty")
    if not text.isascii() or not text.isprintable():
        raise ValueError("The ARN must be printable ASCII")
    return FunctionArn(text, partition, region)
