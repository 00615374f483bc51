"""The logged requests of an endpoint: listed, judged, kept for a while, and made datasets."""
