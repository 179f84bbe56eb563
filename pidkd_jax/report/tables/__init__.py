"""Tables of a comparison: one file for each table, which offers `columns`."""
