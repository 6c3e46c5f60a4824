"""The conversation: turns as Markdown, the composer, what belongs to one chat."""
