"""The store on several machines: FoundationDB through its official binding. Its native client is loaded when a cluster is opened."""
