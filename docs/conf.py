"""How Sphinx builds these pages: `python tasks.py docs`, where a warning is an error."""

from dermalink_protocol.version import __version__

project = "Dermalink"
author = "The Dermalink authors"
copyright = author  # noqa: A001 (Sphinx's name for it)
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "code"  # what a docstring puts in backticks

html_theme = "furo"
html_title = "Dermalink"
html_copy_source = False
html_show_sphinx = False
