"""Settings, dependencies, errors, responses and security, for every layer."""
