"""The ASGI app: all services of the contract.

`INACTIVITY_MS` is put into the manifest of each service.
"""

import os
from datetime import timedelta

import restate

from tests.e2e.contract.services_py import (
    awakeables,
    beyond,
    collections,
    commands,
    counter,
    echoes,
    failing,
    interpreter,
    non_determinism,
    offer,
    proxy,
    termination,
    workflows,
)

SERVICES = [
    awakeables.awakeable_holder,
    beyond.beyond,
    *collections.maps,
    collections.list_object,
    commands.command_interpreter,
    counter.counter,
    echoes.echoes,
    failing.failing,
    interpreter.helper,
    *interpreter.layers,
    non_determinism.non_deterministic,
    proxy.proxy,
    termination.cancel_runner,
    termination.cancel_blocking,
    termination.kill_runner,
    termination.kill_singleton,
    workflows.block_and_wait,
    workflows.promises,
]

if "INACTIVITY_MS" in os.environ:
    for service in SERVICES:
        service.inactivity_timeout = timedelta(milliseconds=int(os.environ["INACTIVITY_MS"]))

app = offer.capped(restate.app(SERVICES))
