"""The Learning page: what would be learned, a run as it goes, its card, history, comparison."""
