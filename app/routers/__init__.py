"""HTTP: one router for each resource."""
