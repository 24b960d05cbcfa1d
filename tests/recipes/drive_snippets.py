"""Run the guide's shorter snippets in a separate process, and print their results.

They define models, which would otherwise be in the metadata of all tests. Their `User` and `Item`
are renamed to `Author` and `Article`, because the project has its own.
"""
