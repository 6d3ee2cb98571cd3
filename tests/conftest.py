"""What holds for all tests: examples that hypothesis draws may take as long as the machine makes them, and gRPC keeps out of forks."""

import os

from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.load_profile("project")

# Between fork and exec gRPC's handlers start threads in the child, which now and then aborts because of descriptors that are gone.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
