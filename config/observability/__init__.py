"""How operators see into each process: figures, health, and, where configured, Sentry and
OpenTelemetry."""
