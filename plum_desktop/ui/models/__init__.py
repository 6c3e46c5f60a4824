"""The Models page: files that are here, and downloads."""
