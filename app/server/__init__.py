"""The HTTP server: uvicorn with bounds on what a connection may send, and with a drain at its end.

Nothing here imports the rest of the application: limits, answers and times are arguments.
"""
