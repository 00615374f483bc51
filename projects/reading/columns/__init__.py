"""What the columns of a text table hold: shapes of cells, formats, types, and open questions."""
