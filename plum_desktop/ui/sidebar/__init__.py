"""The list of chats, their folders, and the search through them."""
