"""Findings: problems of a table, each with the reason it matters and, if possible, edits as a
fix."""
