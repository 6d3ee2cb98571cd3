"""The PostgreSQL frontend/backend protocol, version 3, seen from a server: sans-io.

`frontend` reads what clients send, `backend` writes what they are answered, `copy` writes rows as COPY sends them, and `values` knows how
values look on the wire.
"""
