"""Runs the guide's shorter snippets in a process of their own, and prints what came of them.

They define models, which would otherwise be in the metadata of all tests. `User` and `Item` in
them are called `Author` and `Article`: the project has its own.
"""
