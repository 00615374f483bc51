"""What a workbook says beside its cells, and what Excel did to them."""
