"""The window: widgets, and one bridge that turns the app layer's callbacks into signals.

It knows `plum_desktop.app` and the records of `plum_desktop.base`, and nothing below them.  Here
are the window itself and what is around its pages; each page has a folder.
"""
