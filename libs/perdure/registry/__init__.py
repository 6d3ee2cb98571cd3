"""What admin registers and everyone else reads: deployments, service revisions, their options, and the cache of it all."""
