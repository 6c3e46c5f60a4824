"""The documents as web pages: `make docs`, into build/docs.  Every page stays where it is."""

project = "Plum Desktop"
author = "The Plum Desktop contributors"
extensions = ["myst_parser"]
include_patterns = ["docs/*.md", "packaging/README.md", "*.md"]
root_doc = "docs/index"
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {"description": "A private assistant that learns from its own chats"}
html_show_sphinx = False
html_copy_source = False
