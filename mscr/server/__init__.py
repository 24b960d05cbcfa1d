"""The HTTP server: uvicorn with limits on each connection, and with a drain at shutdown.

Nothing here imports the rest of the application: limits, error responses and times are arguments.
"""
