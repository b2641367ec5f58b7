"""All servers here are made of this: lifecycle, health, errors, logs, spans, metrics and security."""
