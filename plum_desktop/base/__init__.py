"""What every other package may use: standard library and platformdirs only."""
