"""Records that several processes share: targets, journal, invocations, deployments. No behaviour beyond derived facts."""
