"""The Memory page: every fact that was taught, and what can be done about it."""
