"""SQL over the state of the suite, for `restatectl sql`."""
