"""Cheap models beside a text job's network, and the choice among them all."""
