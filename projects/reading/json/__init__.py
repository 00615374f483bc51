"""JSON documents and lines: where the rows are, and what their fields hold."""
