"""The invoker: owns partitions, journals every step, and runs attempts at deployments."""
