"""Items with tags, bulk requests, imports, exports, search and restore (docs/catalogue.md)."""
