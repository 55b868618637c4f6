"""Words in, words out: one file per command, and the one place that turns errors into exit statuses."""
