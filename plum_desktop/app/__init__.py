"""What the product does, with no widget in sight: the window and the commands both call this."""
