"""What PostgreSQL clients expect beside the tables: the system catalogue, its functions, and its dialect of SQL."""
