"""Reads untrusted files as tables of text. Plain Python: no Django, no database, no settings.

Runs in a child process of the worker (projects/importing/import_process.py), so that a file which
exhausts memory or crashes a parser ends one import and nothing else.
"""
