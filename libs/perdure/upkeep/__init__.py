"""What an operator does to a store: check it, back it up, restore it."""
