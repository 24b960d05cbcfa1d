"""Named queries: one repository for each model."""
