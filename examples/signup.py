"""A workflow: its `run` is executed once per key, step by step, whatever dies meanwhile.

Each step's effect outside of the server is a line in the file `SIGNUP_LEDGER`: the mails, charges and entries of a real one.
"""

import os
from datetime import timedelta
from typing import TypedDict

import restate

LEDGER = os.environ.get("SIGNUP_LEDGER", os.devnull)
GRACE = timedelta(seconds=2)

signup = restate.Workflow("Signup")


class Applicant(TypedDict):
    """Who wants to be signed up."""

    email: str


def enter(key: str, what: str) -> str:
    """Do something that must not be done twice."""
    with open(LEDGER, "a") as ledger:
        ledger.write(f"{key}: {what}\n")
    return what


@signup.main()
async def run(ctx: restate.WorkflowContext, applicant: Applicant) -> list[str]:
    """Sign someone up in five steps, with time to think it over after the third."""
    done: list[str] = []

    async def step(what: str) -> None:
        done.append(await ctx.run_typed(what, enter, restate.RunOptions(), ctx.key(), what))

    await step("create the account")
    await step(f"send the terms to {applicant['email']}")
    await step("reserve a seat")
    await ctx.sleep(GRACE)
    await step("charge the fee")
    await step(f"welcome {ctx.key()}")
    return done
