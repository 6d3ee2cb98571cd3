"""The services of the contract on the Python SDK, one module for each concept; `app` serves them all."""
