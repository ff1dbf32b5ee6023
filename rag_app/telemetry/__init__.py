"""What may be measured from outside: figures for Prometheus, spans for OpenTelemetry."""
