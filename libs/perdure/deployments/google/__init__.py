"""Deployments on Google Cloud that want to know who calls, Cloud Run services among them. Source: shared/spec/admin.md, section 3."""

from typing import Final

HEADER: Final = "x-serverless-authorization"
"""Carries the token: Cloud Run takes it before `authorization`, which stays the user's."""
