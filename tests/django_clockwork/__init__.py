"""An app with periodic work, and settings of a project whose processes run it."""
