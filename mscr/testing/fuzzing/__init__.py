"""Requests generated from OpenAPI, and faults in their responses: `make fuzz`."""
