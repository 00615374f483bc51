"""Rows that belong to no app."""

from web.models.idempotent_request import IdempotentRequest

__all__ = ["IdempotentRequest"]
