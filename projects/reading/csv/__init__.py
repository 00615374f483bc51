"""Delimited text: dialects, headers, records that survive stray quotes, and the rows they hold."""
