"""What every part of the window is made of: the bridge to the app, the theme, controls, words."""
