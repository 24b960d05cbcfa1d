"""Changes of a project's own files: the example that leaves, and the project's name."""
