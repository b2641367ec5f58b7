"""Pydantic models describe what comes in and what goes out, for the handlers and for the OpenAPI document."""
