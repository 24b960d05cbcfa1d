"""What the API takes and gives: one module a resource."""
