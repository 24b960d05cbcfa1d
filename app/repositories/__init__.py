"""Named queries: one repository a model."""
