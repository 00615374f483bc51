"""Saving an installation, and making an empty one into its copy.

A backup is a folder: `database.dump` (pg_dump's custom format), `objects/` (every stored file under
its key), if asked for `secrets.env`, and `manifest.json`, which is written last. A folder without
it, or one that differs from it by a byte, is no backup and is refused.
"""
