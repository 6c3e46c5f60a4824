"""The Settings page: a row for each setting and each key."""
