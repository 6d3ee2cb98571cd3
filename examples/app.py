"""The endpoint of the examples, an ASGI application: `hypercorn examples.app:app`."""

import restate

from examples.counter import counter
from examples.greeter import greeter
from examples.signup import signup

app = restate.app([greeter, counter, signup])
