"""Commands of a running attempt, one file per family; `table.COMMANDS` lists them all."""
