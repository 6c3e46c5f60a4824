"""Model files: what their headers say, where they lie, whether they fit and can learn."""
