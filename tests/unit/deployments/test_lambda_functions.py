"""The ARNs of functions, and where they are called."""

import pytest

from perdure.deployments.aws_lambda.functions import parse_function_arn

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:greeter:7"


def test_an_arn_names_its_partition_and_region() -> None:
    function = parse_function_arn(ARN)
    assert (function.text, function.partition, function.region) == (ARN, "aws", "eu-central-1")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "8 components"),
        (ARN.removesuffix(":7"), "A version or an alias"),
        (ARN + ":8", "8 components"),
        (ARN.replace("arn:", "urn:"), "begin with `arn:`"),
        (ARN.replace("lambda", "s3"), "`lambda` `function`"),
        (ARN.replace("function", "layer"), "`lambda` `function`"),
        (ARN.replace("eu-central-1", ""), "empty"),
        (ARN.removesuffix("7"), "empty"),
        (ARN.replace("greeter", "grüßer"), "ASCII"),
        (ARN.replace("greeter", "a\nb"), "ASCII"),
    ],
)
def test_what_is_no_qualified_arn_of_a_function_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_function_arn(text)


def test_the_path_of_a_call_holds_the_whole_arn() -> None:
    path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Agreeter%3A7/invocations"
    assert parse_function_arn(ARN).invocation_path == path


@pytest.mark.parametrize(
    ("partition", "url"),
    [
        ("aws", "https://lambda.eu-central-1.amazonaws.com"),
        ("aws-us-gov", "https://lambda.eu-central-1.amazonaws.com"),
        ("aws-cn", "https://lambda.eu-central-1.amazonaws.com.cn"),
    ],
)
def test_the_region_of_the_arn_is_called(partition: str, url: str) -> None:
    assert parse_function_arn(ARN.replace("arn:aws:", f"arn:{partition}:")).endpoint({}) == url


def test_the_environment_can_name_another_endpoint() -> None:
    function = parse_function_arn(ARN)
    assert function.endpoint({"AWS_ENDPOINT_URL": "http://all:1/"}) == "http://all:1"
    assert function.endpoint({"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_LAMBDA": "http://one:2"}) == "http://one:2"
