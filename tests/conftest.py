"""What holds for all tests: examples that hypothesis draws may take as long as the machine makes them."""

from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.load_profile("project")
