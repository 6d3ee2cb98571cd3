"""The store on one machine: SQLite in WAL mode, one file, safe for several processes on one host."""
