"""The pytest plugin that ships with Dermalink: a simulated pen and a connected host as fixtures."""
