"""Read by each interpreter that starts with this directory on its path: FoundationDB's client is the simulated one."""

import fdb

from tests.fdb.remote import install

install(fdb)
