"""Steps in the life of an invocation, one file each; `machine.PartitionMachine` dispatches to them."""
