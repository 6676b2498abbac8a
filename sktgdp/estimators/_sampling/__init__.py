"""How fitted generators draw: chunks of rows, files of rows, rows that must not come back."""
